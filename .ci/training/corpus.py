"""Make one JSON Lines file of the SpamAssassin corpus: {"text": ..., "label": "ham"|"spam"} a line.

corpus.py FOLDER_OF_THE_NPM_PACKAGE OUTPUT.jsonl
"""
import json
import pathlib
import sys

source, output = pathlib.Path(sys.argv[1]), sys.argv[2]
count = {}
with open(output, "w", encoding="utf-8") as out:
    for folder in sorted(p for p in (source / "data").iterdir() if p.is_dir()):
        label = "spam" if folder.name.startswith("spam") else "ham"
        for path in sorted(folder.glob("*.json")):
            mail = json.loads(path.read_text(encoding="utf-8"))
            out.write(json.dumps({"text": mail["text"], "label": label}) + "\n")
            count[label] = count.get(label, 0) + 1
print(f"corpus: {count}")
