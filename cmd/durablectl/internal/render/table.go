package render

import (
	"slices"
	"strings"
)

// Cell is one field of a table.
type Cell struct {
	Text  string
	Color Color
}

// Column is a column of a [Table].
type Column struct {
	Title string
	// Right: figures, aligned at their end.
	Right bool
	// Min, if greater than 0, lets it shrink to so many columns when the screen is too narrow, and
	// Optional lets it vanish when that is not enough. The last one gives way first.
	Min      int
	Optional bool
}

// Table is rows of cells under titles. The zero value of Titles shows none of them.
type Table struct {
	Columns []Column
	Titles  bool
	Indent  int
	rows    [][]Cell
}

// Row adds a row; it has one cell for each column.
func (t *Table) Row(cells ...Cell) {
	for i := range cells {
		cells[i].Text = Clean(cells[i].Text)
	}
	t.rows = append(t.rows, cells)
}

// gap is what lies between two columns.
const gap = 2

// Render returns the table's lines. A column in which nothing is said is left out.
func (t *Table) Render(s Screen) string {
	widths := t.widths()
	shrink(widths, t.Columns, s.Width-t.Indent)
	var b strings.Builder
	if t.Titles && len(t.rows) > 0 {
		titles := make([]Cell, len(t.Columns))
		for i, c := range t.Columns {
			titles[i] = Cell{c.Title, Bold}
		}
		t.line(&b, s, widths, titles)
	}
	for _, row := range t.rows {
		t.line(&b, s, widths, row)
	}
	return b.String()
}

// widths returns what each column needs, 0 for one without content.
func (t *Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], Width(cell.Text))
		}
	}
	for i, c := range t.Columns {
		if t.Titles && widths[i] > 0 {
			widths[i] = max(widths[i], Width(c.Title))
		}
	}
	return widths
}

// shrink takes from the columns that give way until all fit into limit; a limit of 0 or less is none.
func shrink(widths []int, columns []Column, limit int) {
	if limit <= 0 {
		return
	}
	total := -gap
	for _, w := range widths {
		if w > 0 {
			total += w + gap
		}
	}
	for i, c := range slices.Backward(columns) {
		if c.Min == 0 || total <= limit {
			continue
		}
		give := min(total-limit, max(0, widths[i]-c.Min))
		widths[i] -= give
		total -= give
	}
	for i, c := range slices.Backward(columns) {
		if c.Optional && total > limit && widths[i] > 0 {
			total -= widths[i] + gap
			widths[i] = 0
		}
	}
}

func (t *Table) line(b *strings.Builder, s Screen, widths []int, cells []Cell) {
	var line strings.Builder
	blank := t.Indent // spaces that are due before the next text: none trail at a line's end
	for i, cell := range cells {
		w := widths[i]
		if w == 0 {
			continue
		}
		text := Truncate(cell.Text, w)
		rest := w - Width(text)
		if t.Columns[i].Right {
			blank, rest = blank+rest, 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", blank) + s.Paint(cell.Color, text))
			blank = 0
		}
		blank += rest + gap
	}
	b.WriteString(line.String() + "\n")
}
