package training

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"durable/ipc/task"
)

// Prediction is what a model says of a record.
type Prediction struct {
	Label  string             `json:"label"`
	Scores map[string]float64 `json:"scores"` // probabilities, by label
}

// Predict asks the model about a record, a JSON object: of its keys those are looked at that the model has learnt from; to one
// of texts {"text": ...} is the text, however its column was called.
func (m *Model) Predict(record []byte) (Prediction, error) {
	r := &reader{path: "input", columns: map[string]int{}}
	cells, err := r.object(record)
	if err != nil {
		return Prediction{}, errors.New("not a JSON object")
	}
	if text := m.Features.Text; text != "" {
		if _, there := r.columns[text]; !there {
			at, general := r.columns["text"]
			if !general {
				return Prediction{}, fmt.Errorf("no key %q or \"text\" in it", text)
			}
			r.names[at] = text
		}
	}
	v := newVectors()
	m.Features.raw(r.names, cells, v)
	m.Features.weigh(v.at(0))
	var b batch
	b.fill(v, nil, []int32{0}, 1)
	logits, err := m.net.judge(&b)
	if err != nil {
		return Prediction{}, err
	}
	p := Prediction{Label: m.Labels[argmax(logits)], Scores: map[string]float64{}}
	for i, score := range softmax(logits) {
		if math.IsNaN(score) {
			return Prediction{}, errors.New("a figure in it is too far out")
		}
		p.Scores[m.Labels[i]] = score
	}
	return p, nil
}

// PredictLines answers each line of in, a JSON object, with a line of out. A line that cannot be answered ends it.
func (m *Model) PredictLines(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	w := bufio.NewWriter(out)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		p, err := m.Predict(line)
		if err != nil {
			return errors.Join(task.Errorf(task.InvalidArgument, "line %d: %w", n, err).
				WithHint(`give one JSON object a line, such as {"text": "..."}`), w.Flush())
		}
		if err := json.NewEncoder(w).Encode(p); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return errors.Join(fmt.Errorf("read the input: %w", err), w.Flush())
	}
	return w.Flush()
}
