"""Runs a graph that profile.ts wrote and prints the time in each kind of operation, from TensorFlow's full trace."""
import collections
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

RUNS = 5
v1 = tf.compat.v1
v1.disable_eager_execution()
for library in sys.argv[2:]:
    tf.load_op_library(library)
model = saved_model_pb2.SavedModel()
with open(sys.argv[1], "rb") as file:
    model.ParseFromString(file.read())
graph = model.meta_graphs[0].graph_def
v1.import_graph_def(graph, name="")
session = v1.Session()
random = np.random.default_rng(0)


def values(node):
    shape = [dim.size for dim in node.attr["shape"].shape.dim]
    if node.attr["dtype"].type == 3:
        return random.integers(0, 9, shape).astype("int32")
    return np.abs(random.standard_normal(shape) * 0.05).astype("float32")


names = {node.name for node in graph.node}
places = [node for node in graph.node if node.op == "Placeholder"]
for group in ("closed", "state"):
    if f"{group}/written" in names:
        news = {f"{n.name}:0": values(n) for n in places if n.name.startswith(group)}
        session.run(f"{group}/written:0", news)
feeds = {f"{n.name}:0": values(n) for n in places if not n.name.endswith("/new")}
outputs = [f"{name}:0" for name in names if name.startswith("out")]
if not outputs:
    outputs = [[f"{n.name}:0" for n in graph.node if n.op == "Identity" and "/" not in n.name][-1]]

for _ in range(3):
    session.run(outputs, feeds)
time, count = collections.Counter(), collections.Counter()
for _ in range(RUNS):
    trace = config_pb2.RunMetadata()
    full = config_pb2.RunOptions(trace_level=config_pb2.RunOptions.FULL_TRACE)
    session.run(outputs, feeds, options=full, run_metadata=trace)
    for device in trace.step_stats.dev_stats:
        for stat in device.node_stats:
            label = stat.timeline_label
            kind = label.split(" = ")[-1].split("(")[0] if " = " in label else stat.node_name
            time[kind] += (stat.op_end_rel_micros - stat.op_start_rel_micros) / RUNS / 1000
            count[kind] += 1 / RUNS
total = sum(time.values())
print(f"{'operation':34} {'ms':>8} {'share':>7} {'nodes':>6}   (of {total:.1f} ms of work, {sum(count.values()):.0f} nodes)")
for kind, ms in time.most_common(14):
    print(f"{kind:34} {ms:8.2f} {100 * ms / total:6.1f}% {count[kind]:6.0f}")
