package training

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"durable/ipc/task"
)

// Names that a label and a text usually have, the likelier ones first.
var (
	labelNames = []string{"label", "labels", "class", "target", "category", "y", "sentiment", "outcome"}
	textNames  = []string{"text", "content", "body", "message", "review", "sentence", "comment", "document", "email", "description", "title"}
)

// Limits of the look at a data set while the caller waits, and what makes a column one of texts.
const (
	peekRecords = 100
	peekBytes   = 1 << 20
	textWords   = 4 // on average
)

// peek reads the first records, and finds the columns of the label and of the text where they are not named.
func (p *params) peek() error {
	r, err := openDataset(p.Dataset)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // it was only read
	values := map[int][]string{}
	records, read := 0, 0
	for records < peekRecords && read < peekBytes {
		cells, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		records++
		for _, c := range cells {
			values[c.column] = append(values[c.column], strings.Clone(c.text))
			read += len(c.text)
		}
	}
	if records == 0 {
		return errEmpty(p.Dataset)
	}
	if err := p.findLabel(r); err != nil {
		return err
	}
	return p.findText(r, values)
}

func (p *params) findLabel(r *reader) error {
	if p.Label == "" {
		p.Label = named(r.names, labelNames)
	}
	if p.Label == "" && p.Text == "" || p.Label == "" && len(r.names) == 2 {
		if last := r.names[len(r.names)-1]; last != p.Text {
			p.Label = last
		} else {
			p.Label = r.names[0]
		}
	}
	if p.Label == "" {
		return invalid("label_column: missing, and no column of %s has a usual name", p.Dataset).WithHint("it has: %s", listed(r.names))
	}
	return r.has("label_column", p.Label)
}

// findText leaves p.Text empty where the data set is a table of figures and categories.
func (p *params) findText(r *reader, values map[int][]string) error {
	if p.Text != "" {
		if p.Text == p.Label {
			return invalid("text_column and label_column: both are %q", p.Text)
		}
		return r.has("text_column", p.Text)
	}
	others := slices.DeleteFunc(slices.Clone(r.names), func(name string) bool { return name == p.Label })
	if len(others) == 0 {
		return invalid("dataset %s: there is nothing beside the label %q", p.Dataset, p.Label).
			WithHint("name another column with label_column, or add some to learn from")
	}
	best := 0.0
	for _, name := range others {
		words := wordsOf(values[r.columns[name]])
		if slices.Contains(textNames, strings.ToLower(name)) && words >= 2 {
			words += 1000
		}
		if words >= textWords && words > best {
			best, p.Text = words, name
		}
	}
	return nil
}

// wordsOf is how many words the values have on average.
func wordsOf(values []string) float64 {
	words := 0
	for _, v := range values {
		words += len(strings.Fields(v))
	}
	return float64(words) / max(1, float64(len(values)))
}

// named returns the first of names that is called as one of usual.
func named(names, usual []string) string {
	for _, want := range usual {
		for _, name := range names {
			if strings.EqualFold(name, want) {
				return name
			}
		}
	}
	return ""
}

func (r *reader) has(parameter, name string) error {
	if _, ok := r.columns[name]; !ok {
		return invalid("%s: %s has no column %q", parameter, r.path, name).WithHint("it has: %s", listed(r.names))
	}
	return nil
}

// listed names some columns.
func listed(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// survey is what a first pass finds: the rest of the work depends on it.
type survey struct {
	Records int
	Sum     string // of the file's bytes
	labels  []string
	label   []int32 // of each record
	columns []column
}

// column is one that is learnt from.
type column struct {
	Name    string `json:"name"`
	Numeric bool   `json:"numeric,omitempty"`
	// Origin is taken off before a figure is rounded to 32 bits; Mean and Scale are those of what is left.
	Origin float64 `json:"origin,omitempty"`
	Mean   float64 `json:"mean,omitempty"`
	Scale  float64 `json:"scale,omitempty"`
	seen   bool
}

// maxLabels is how many classes there may be.
const maxLabels = 1000

// surveyDataset reads all of the data set once. tick is called now and then.
func surveyDataset(p *params, tick func(n int) error) (*survey, error) {
	r, err := openDataset(p.Dataset)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.close() }() // it was only read
	s := &survey{}
	ids := map[string]int32{}
	for {
		cells, err := r.next()
		if err == io.EOF {
			break
		}
		if err == nil && s.Records == maxSize {
			err = invalid("dataset %s: more than %d records", p.Dataset, maxSize)
		}
		if err == nil {
			err = s.take(r, p, cells, ids)
		}
		if err == nil && s.Records%1000 == 0 {
			err = tick(s.Records)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.rest(); err != nil {
		return nil, fileError(err, "dataset", p.Dataset)
	}
	s.Sum = fmt.Sprintf("%016x", r.sum.Sum64())
	return s, s.settle(p, r, ids)
}

func (s *survey) take(r *reader, p *params, cells []cell, ids map[string]int32) error {
	s.Records++
	for len(s.columns) < len(r.names) {
		s.columns = append(s.columns, column{Name: r.names[len(s.columns)], Numeric: true})
	}
	labelled := false
	label, known := r.columns[p.Label]
	for _, c := range cells {
		if known && c.column == label {
			id, seen := ids[c.text]
			if !seen {
				id = int32(len(ids))
				ids[strings.Clone(c.text)] = id
			}
			if len(ids) > maxLabels {
				return invalid("label_column: %q has more than %d values: that is no set of classes", p.Label, maxLabels).
					WithHint("name the column that says what each record is; figures cannot be predicted yet")
			}
			s.label = append(s.label[:s.Records-1], id)
			labelled = true
			continue
		}
		s.columns[c.column].look(c.text)
	}
	if !labelled {
		return r.broken(r.line, fmt.Errorf("no value in the label column %q", p.Label))
	}
	return nil
}

// look takes a value into account: one that is no figure makes the column one of categories.
func (c *column) look(text string) {
	if !c.Numeric {
		return
	}
	v, err := figure(text)
	if err != nil {
		c.Numeric = false
	} else if !c.seen && !math.IsNaN(v) {
		c.seen, c.Origin = true, v
	}
}

var errNoFigure = errors.New("no figure")

// figure reads a finite number; NaN stands for a missing one.
func figure(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, errNoFigure
	}
	return v, nil
}

// settle puts the labels in order, and refuses what cannot be learnt.
func (s *survey) settle(p *params, r *reader, ids map[string]int32) error {
	if s.Records == 0 {
		return errEmpty(p.Dataset)
	}
	for name := range ids {
		s.labels = append(s.labels, name)
	}
	slices.Sort(s.labels)
	order := make([]int32, len(ids))
	for i, name := range s.labels {
		order[ids[name]] = int32(i)
	}
	for i, id := range s.label {
		s.label[i] = order[id]
	}
	if len(s.labels) == 1 {
		return errOneClass(p, s.labels[0])
	}
	if p.Text != "" {
		s.columns = nil
		return r.has("text_column", p.Text)
	}
	s.columns = slices.DeleteFunc(s.columns, func(c column) bool { return c.Name == p.Label })
	return nil
}

func errOneClass(p *params, label string) error {
	return task.Errorf(task.FailedPrecondition, "dataset %s: every record has the label %q: there is nothing to tell apart", p.Dataset, label).
		WithHint("label_column is %q; name another, or add records of a second class", p.Label)
}
