package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"

	"durable/ipc/task"
)

const (
	// plotWidth and plotHeight are of one plot, without its labels.
	plotWidth, plotHeight = 60, 5
	// longestList is how many columns a list may take to be shown whole, mostRows how many rows it has as a table.
	longestList, mostRows = 60, 10
	// deepest is how far objects within objects are followed.
	deepest = 8
)

// seriesName is the list of a result that is drawn: one object for each epoch.
const seriesName = "metrics"

// plotted are the figures of a series that get a plot; the others get a line.
var plotted = []string{"loss", "accuracy"}

// Results returns a task's result, indented; "" if it has none.
func (s Screen) Results(t task.Task) string {
	raw := t.Result
	if fields := s.result(t); len(fields) == 1 && fields[0].Name == "" {
		return s.fields(fields, 2) // no object
	}
	return s.object(raw, 2, 0)
}

// object shows the members of a JSON object: plain ones first, then what has parts of its own.
func (s Screen) object(raw json.RawMessage, indent, depth int) string {
	var members map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &members) != nil {
		return ""
	}
	var below strings.Builder
	plain := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		if text, ok := s.parts(Clean(name), value, indent, depth); ok {
			below.WriteString(text)
			continue
		}
		plain[name] = value
	}
	flat, err := json.Marshal(plain)
	if err != nil {
		return ""
	}
	return s.fields(s.result(task.Task{Result: flat}), indent) + below.String()
}

// parts shows a value that has parts; false: it is to be shown in a line.
func (s Screen) parts(name string, value json.RawMessage, indent, depth int) (string, bool) {
	margin := strings.Repeat(" ", indent)
	switch {
	case len(value) == 0:
		return "", false
	case value[0] == '{' && depth < deepest && len(value) > 2:
		return margin + s.Paint(Faint, name) + "\n" + s.object(value, indent+2, depth+1), true
	case value[0] != '[':
		return "", false
	}
	var rows []map[string]json.RawMessage
	if json.Unmarshal(value, &rows) == nil && len(rows) > 0 {
		if text := s.series(name, rows, indent); text != "" {
			return text, true
		}
		if text := s.rows(name, rows, indent); text != "" {
			return text, true
		}
	}
	var list []json.RawMessage
	if Width(string(value)) <= longestList || json.Unmarshal(value, &list) != nil {
		return "", false
	}
	return fmt.Sprintf("%s%s  %s\n", margin, s.Paint(Faint, name), Count(int64(len(list)))+" items"), true
}

// rows is a short list of objects as a table; "" where it is none.
func (s Screen) rows(name string, list []map[string]json.RawMessage, indent int) string {
	keys := slices.Sorted(maps.Keys(list[0]))
	if len(list) > mostRows || len(keys) == 0 || len(keys) > 6 {
		return ""
	}
	table := Table{Indent: indent + 2, Columns: make([]Column, len(keys))}
	head := make([]Cell, len(keys))
	for i, key := range keys {
		head[i] = Cell{Text: Clean(key), Color: Faint}
	}
	table.Row(head...)
	for _, row := range list {
		cells := make([]Cell, len(keys))
		for i, key := range keys {
			cells[i] = Cell{Text: plain(row[key])}
		}
		table.Row(cells...)
	}
	return strings.Repeat(" ", indent) + s.Paint(Faint, name) + "\n" + table.Render(s)
}

// series draws a list of figures; "" where it is none.
func (s Screen) series(name string, list []map[string]json.RawMessage, indent int) string {
	if name != seriesName || len(list) < 2 {
		return ""
	}
	figures := map[string][]float64{}
	for _, at := range list {
		for key, value := range at {
			var x float64
			if json.Unmarshal(value, &x) == nil && string(value) != "null" && !math.IsInf(x, 0) {
				figures[key] = append(figures[key], x)
			}
		}
	}
	first, last := span(figures["epoch"], len(list))
	delete(figures, "epoch")
	var out strings.Builder
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(&out, "%s%s  epochs %g to %g\n", margin, s.Paint(Faint, name), first, last)
	for _, key := range slices.Sorted(maps.Keys(figures)) {
		values := figures[key]
		from, to := values[0], values[len(values)-1]
		if key == "seconds" || len(values) < 2 {
			continue
		}
		fmt.Fprintf(&out, "%s  %s  %.4f to %.4f\n", margin, Clean(key), from, to)
		if slices.Contains(plotted, key) {
			out.WriteString(s.plot(values, indent+4))
		}
	}
	return out.String()
}

// span is from which epoch to which a series goes.
func span(epochs []float64, n int) (first, last float64) {
	if len(epochs) < n {
		return 1, float64(n)
	}
	return epochs[0], epochs[n-1]
}

// plot draws values from left to right.
func (s Screen) plot(values []float64, indent int) string {
	width := plotWidth
	if s.Terminal() {
		width = max(10, min(width, s.Width-indent-12)) // the labels take so much
	}
	drawn := asciigraph.Plot(values, asciigraph.Width(width), asciigraph.Height(plotHeight), asciigraph.Precision(4))
	var out strings.Builder
	for line := range strings.Lines(drawn) {
		out.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+strings.TrimRight(line, "\n"), " ") + "\n")
	}
	return out.String()
}
