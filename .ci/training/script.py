"""A training script as people have them: partial_fit by epochs, a checkpoint of its own, a line an epoch.

script.py CORPUS.jsonl EPOCHS
"""
import json
import os
import pickle
import sys

from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

corpus, epochs = sys.argv[1], int(sys.argv[2])
saved = os.path.join(os.environ["DURABLE_CHECKPOINT_DIR"], "model.pickle")
mails = [json.loads(line) for line in open(corpus, encoding="utf-8")]
x = HashingVectorizer(n_features=2**16).fit_transform(m["text"] for m in mails)
y = [m["label"] for m in mails]
held = [i % 5 == 0 for i in range(len(y))]
train = [i for i, h in enumerate(held) if not h]
test = [i for i, h in enumerate(held) if h]
begin, model = 0, SGDClassifier(loss="log_loss", random_state=1)
if os.path.exists(saved):
    begin, model = pickle.load(open(saved, "rb"))
    print(f"going on after epoch {begin}", flush=True)
for epoch in range(begin + 1, epochs + 1):
    model.partial_fit(x[train], [y[i] for i in train], classes=["ham", "spam"])
    loss = log_loss([y[i] for i in train], model.predict_proba(x[train]))
    accuracy = model.score(x[test], [y[i] for i in test])
    with open(saved + ".part", "wb") as f:
        pickle.dump((epoch, model), f)
    os.replace(saved + ".part", saved)
    print(f"Epoch {epoch}/{epochs} - loss: {loss:.4f} - val_accuracy: {accuracy:.4f}", flush=True)
