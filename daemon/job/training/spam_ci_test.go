//go:build ci

package training

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCISpam holds the accuracy on real mails against that of scikit-learn's SGDClassifier on the same vectors and the same split.
func TestCISpam(t *testing.T) {
	corpus, python, script := os.Getenv("TRAINING_CORPUS"), os.Getenv("TRAINING_PYTHON"), os.Getenv("TRAINING_COMPARE")
	if corpus == "" || python == "" || script == "" {
		t.Fatal("no corpus or no Python: .ci/training/run names them")
	}
	l := prepare(t, "dataset", corpus, "epochs", 8, "test_split", 0.2)
	res := l.finish()
	var p params
	if err := json.Unmarshal(l.task.Params, &p); err != nil {
		t.Fatal(err)
	}
	vectors := filepath.Join(t.TempDir(), "vectors.jsonl")
	exportVectors(t, &p, vectors)
	out, err := exec.Command(python, script, vectors).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Logf("%s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var theirs figures
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	t.Logf("%d mails, %d of them for the test: accuracy %.4f, macro-F1 %.4f; SGDClassifier: accuracy %.4f, macro-F1 %.4f; %.1fs for %d epochs",
		res.Size, res.TestSize, *res.TestAccuracy, *res.TestF1, theirs.Accuracy, theirs.F1, res.Seconds, res.Epochs)
	const within = 0.02
	if *res.TestAccuracy < theirs.Accuracy-within || *res.TestF1 < theirs.F1-within {
		t.Errorf("worse by more than %g", within)
	}
}

// exportVectors writes what the training has learnt from, and what it is measured on.
func exportVectors(t *testing.T, p *params, path string) {
	t.Helper()
	d, err := loadData(p, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for part, records := range map[string][]int32{"train": d.train, "validation": d.validation, "test": d.test} {
		for _, i := range records {
			places, values := d.vectors.at(i)
			if err := enc.Encode(map[string]any{"places": places, "values": values, "label": d.labels[i], "part": part}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
