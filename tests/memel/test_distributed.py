"""Two gloo processes under DistributedDataParallel equal one process with the whole batch."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from memel import MEmeL

STEPS, LATER = 4, 3


def network(order: str) -> nn.Sequential:
    torch.manual_seed(3)
    memel = MEmeL(neurons=2, forget_step=2, late_start=2, order=order)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), memel, nn.Linear(6, 1)).double()


def batches() -> torch.Tensor:
    return torch.randn(STEPS + LATER, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def train(model: nn.Module, xs: torch.Tensor) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x in xs:
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()


def worker(rank: int, port: int, order: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    dist.init_process_group("gloo")
    share = batches()[:, rank::2]
    model = network(order)
    train(DistributedDataParallel(model), share[:STEPS])
    # Statistics that exist when the model is wrapped are among the buffers that DDP broadcasts at every
    # forward.
    train(DistributedDataParallel(model, broadcast_buffers=True), share[STEPS:])
    torch.save(model.state_dict(), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("order", ["paper", "reference"])
def test_two_processes_equal_one(order, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    multiprocessing.spawn(worker, (port, order, str(tmp_path)), nprocs=2)
    alone = network(order)
    train(alone, batches())
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found, alone.state_dict(), rtol=1e-11, atol=1e-12)
    assert alone[2].statistics.values == 6 * (STEPS + LATER)
