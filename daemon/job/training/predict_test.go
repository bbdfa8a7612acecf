package training

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestPredict: the model's file is all that is needed to ask it.
func TestPredict(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset", write(t, "mails.csv", strings.Replace(mails(90), "text,label", "body,kind", 1)), "label_column", "kind", "epochs", 6)
	l.finish()
	dir, err := l.host.ArtifactsDir()
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenModel(filepath.Join(dir, fileModel))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var out bytes.Buffer
	in := "{\"text\":\"win free money now\"}\n\n{\"body\":\"notes of the meeting on monday\",\"other\":1}\n"
	if err := m.PredictLines(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var labels []string
	for line := range strings.Lines(out.String()) {
		var p Prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil || len(p.Scores) != 2 || p.Scores[p.Label] < 0.5 {
			t.Fatalf("%s: %v", line, err)
		}
		labels = append(labels, p.Label)
	}
	if strings.Join(labels, " ") != "spam ham" {
		t.Errorf("%s", out.String())
	}
	for _, bad := range []string{"what?", `{"x":1}`, `[1]`} {
		if err := m.PredictLines(strings.NewReader(bad), &out); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestOpenModel: what is no model is refused, however much of it looks like one.
func TestOpenModel(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset_size", 60, "epochs", 1)
	l.finish()
	whole := l.artifact(fileModel)
	for n, text := range map[string]string{
		"empty": "", "text": "hello, this is no model at all", "short": whole[:len(whole)-1], "long": whole + "x",
		"other": strings.Replace(whole, `\"format\":1`, `\"format\":2`, 1), "labels": strings.Replace(whole, `\"a\",`, ``, 1),
	} {
		if m, err := OpenModel(write(t, "m", text)); err == nil {
			m.Close()
			t.Errorf("%s: taken", n)
		}
	}
}
