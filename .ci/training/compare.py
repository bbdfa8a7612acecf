"""Train scikit-learn's SGDClassifier on vectors that a Go test has written, and print its figures on the test part.

compare.py VECTORS.jsonl: {"places": [...], "values": [...], "label": n, "part": "train"|"validation"|"test"} a line.
"""
import json
import sys

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, f1_score

parts = {}
for line in open(sys.argv[1], encoding="utf-8"):
    row = json.loads(line)
    part = parts.setdefault(row["part"], {"data": [], "indices": [], "indptr": [0], "y": []})
    part["data"] += row["values"]
    part["indices"] += row["places"]
    part["indptr"].append(len(part["data"]))
    part["y"].append(row["label"])

width = 1 + max(max(p["indices"]) for p in parts.values())


def matrix(name):
    p = parts[name]
    return csr_matrix((p["data"], p["indices"], p["indptr"]), shape=(len(p["y"]), width)), np.array(p["y"])


x, y = matrix("train")
model = SGDClassifier(random_state=1).fit(x, y)
x, y = matrix("test")
said = model.predict(x)
print(json.dumps({"accuracy": accuracy_score(y, said), "f1": f1_score(y, said, average="macro")}))
