"""The one exception meant for the person at the keyboard."""


class NowcastError(Exception):
    """Bad input, said in one sentence: what was found, what was expected, what to do, and in which file.

    The command line prints the sentence and exits with status 1; Python callers can catch it by this name.
    Anything else that escapes is a defect of the program and keeps its traceback.
    """
