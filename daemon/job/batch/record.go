package batch

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// record is a line of the journal, and of output.jsonl: how a batch ended. A line of the journal with Begun set says instead that
// the batch was about to be run.
type record struct {
	Batch int64 `json:"batch"`
	// Begun is the number of the task's attempt that has begun the batch.
	Begun int `json:"begun,omitempty"`

	Item  item   `json:"item,omitempty"`
	Items []item `json:"items,omitempty"`
	OK    bool   `json:"ok"`
	// Exit is the exit status; absent where there is none.
	Exit     *int    `json:"exit,omitempty"`
	Error    string  `json:"error,omitempty"`
	Stdout   *string `json:"stdout,omitempty"`
	Base64   string  `json:"stdout_base64,omitempty"` // of what is not UTF-8
	Cut      int64   `json:"stdout_cut,omitempty"`    // bytes that were dropped
	Stderr   string  `json:"stderr,omitempty"`
	Seconds  float64 `json:"seconds"`
	Attempts int     `json:"attempts,omitempty"`
	// Rerun: an attempt of the task that was broken off had begun it before.
	Rerun bool `json:"rerun,omitempty"`
}

func newRecord(index int64, items []item, single bool) record {
	rec := record{Batch: index, Items: items}
	if single {
		rec.Item, rec.Items = items[0], nil
	}
	return rec
}

// all returns the items of the batch.
func (r *record) all() []item {
	if r.Items == nil {
		return []item{r.Item}
	}
	return r.Items
}

// setOutput puts what a command has printed into the record.
func (r *record) setOutput(out, err *bounds) {
	r.Cut = out.dropped
	if text := out.buf.Bytes(); utf8.Valid(text) {
		s := string(text)
		r.Stdout = &s
	} else {
		r.Base64 = base64.StdEncoding.EncodeToString(text)
	}
	if !r.OK {
		r.Stderr = validText(err.buf.Bytes())
	}
}

func (r *record) took(d time.Duration) {
	r.Seconds = float64(d.Round(10*time.Microsecond)) / float64(time.Second)
}

// line is the record as a line.
func (r *record) line() ([]byte, error) {
	b, err := encode(r)
	return append(b, '\n'), err
}

// parse reads a line. It reports false for one that is not whole.
func parse(line []byte) (record, bool) {
	var r record
	return r, json.Unmarshal(line, &r) == nil && r.Batch > 0
}
