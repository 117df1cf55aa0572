"""Writes parity/fixtures/metrics.json: what scipy, torch-fidelity, prdc and vendi-score make of features that both sides draw.

    python parity/metrics.py > parity/fixtures/metrics.json
    python parity/metrics.py --time A.npz B.npz

Needs numpy, scipy, prdc, torch-fidelity and vendi-score. With --time it prints what the distance of two
files of statistics takes; pnpm bench:frechet calls it so.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
import scipy.linalg

MASK = 0xFFFFFFFF


def draw(seed, rows, columns, spread, shift):
    """Sums of three numbers of Park and Miller's generator, mixed from column to column, with shrinking spread."""
    state, values = seed, np.empty(rows * columns)
    for i in range(values.size):
        total = 0.0
        for _ in range(3):
            state = state * 48271 % 2147483647
            total += state / 2147483647
        values[i] = total - 1.5
    x = values.reshape(rows, columns)
    mixed = x.copy()
    mixed[:, 1:] += 0.5 * x[:, :-1]
    return mixed * spread ** np.arange(columns) + shift


def philox(counter, key):
    """Philox4x32-10."""
    a, b, c, d = counter
    low, high = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ low, q & MASK, (p >> 32) ^ d ^ high, p & MASK
        low, high = (low + 0x9E3779B9) & MASK, (high + 0xBB67AE85) & MASK
    return a, b, c, d


def fold(key, *parts):
    for part in parts:
        key = philox((part & MASK, part >> 32, 0x666F6C64, 0), key)[:2]
    return key


def permutation(key, count):
    words = [word for block in range(-(-count // 4)) for word in philox((block, 0, 0, 0), key)]
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        j = int(words[i] / 2**32 * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


def root(a, b):
    found = scipy.linalg.sqrtm(a @ b)
    return (found[0] if isinstance(found, tuple) else found).real


def frechet(x, y):
    return distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))


def singular(x, y):
    """With fewer samples than dimensions scipy's root is of a singular matrix. With covariances A'A and B'B of centred samples
    the trace is the sum of the singular values of AB'."""
    a, b = ((m - m.mean(0)) / np.sqrt(len(m) - 1) for m in (x, y))
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * nuclear)


def distance(mean, a, other, b):
    return float(np.sum((mean - other) ** 2) + np.trace(a) + np.trace(b) - 2 * np.trace(root(a, b)))


def timed(files):
    (mean, a), (other, b) = ((file["mu"], file["sigma"]) for file in map(np.load, files))
    start = time.time()
    value = distance(mean, a, other, b)
    print(f"scipy {scipy.__version__}: {time.time() - start:.1f} s, {value}")


def fixtures():
    from prdc import compute_prdc
    from torch_fidelity.metric_kid import kernel_mmd
    from vendi_score import vendi

    x, y = draw(1, 300, 16, 0.9, 0.0), draw(7, 260, 16, 0.85, 0.1)
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}
    mmd = lambda a, b: float(kernel_mmd(a, b, **kernel))
    subsets = [
        mmd(*(m[permutation(fold((5, 0), i, side), len(m))[:100]] for side, m in enumerate((x, y)))) for i in range(4)
    ]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    with contextlib.redirect_stdout(io.StringIO()):
        manifold = {k: compute_prdc(x, y, nearest_k=k) for k in (3, 5)}
    return {
        "frechet": frechet(x, y),
        "singular": singular(x[:9], y[:11]),
        "mean": x.mean(0).tolist(),
        "variance": np.var(x, axis=0, ddof=1).tolist(),
        "mmd": mmd(x[:260], y),
        "kid": {"mean": float(np.mean(subsets)), "std": float(np.std(subsets))},
        "manifold": {str(k): {name: float(value) for name, value in found.items()} for k, found in manifold.items()},
        "vendi": float(vendi.score_dual(unit)),
    }


if "--time" in sys.argv:
    timed(sys.argv[2:])
else:
    print(json.dumps(fixtures(), indent=1))
