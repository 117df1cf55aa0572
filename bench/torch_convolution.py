"""3×3 convolutions of PyTorch in channels_last: answers one line of JSON for each line that it is sent."""

import json
import sys
import time

import torch

THREADS = int(sys.argv[1])
torch.set_num_threads(THREADS)
clock = time.thread_time if THREADS == 1 else time.perf_counter
given = {}


def load(n, h, w, c, o):
    last = torch.channels_last
    given["x"] = torch.randn(n, c, h, w).to(memory_format=last)
    given["dy"] = torch.randn(n, o, h, w).to(memory_format=last)
    given["kernel"] = torch.randn(o, c, 3, 3).to(memory_format=last)


def gradient(mask):
    one = [1, 1]
    return torch.ops.aten.convolution_backward(
        given["dy"], given["x"], given["kernel"], None, one, one, one, False, [0, 0], 1, mask
    )


CASES = {
    "forward": lambda: torch.nn.functional.conv2d(given["x"], given["kernel"], padding=1),
    "dx": lambda: gradient([True, False, False]),
    "dkernel": lambda: gradient([False, True, False]),
}

for line in sys.stdin:
    message = json.loads(line)
    reply = {"version": torch.__version__}
    if "size" in message:
        load(*message["size"])
    else:
        # PyTorch's plain convolution is also the rival of one by transformed filters.
        run = CASES["forward" if message["case"] == "frozen" else message["case"]]
        times = []
        with torch.no_grad():
            for _ in range(message["calls"]):
                start = clock()
                run()
                times.append(1000 * (clock() - start))
        reply["times"] = times
    print(json.dumps(reply), flush=True)
