package render

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// longLine is the length beyond which a line is not shown whole: a file that a program keeps on one line.
const longLine = 400

// Diff shows what changes in a file, with one line around it. What is cut off a long line is what both have in common.
func Diff(s Screen, file, before, after string) string {
	edits := udiff.Lines(before, after)
	text, err := udiff.ToUnified(file, file, before, edits, 1)
	if err != nil {
		text = after // the edits are made of these texts, so they apply
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	shorten(lines)
	var b strings.Builder
	for i, line := range lines {
		line = harmless(line)
		color := None
		switch {
		case i < 2:
			color = Bold
		case strings.HasPrefix(line, "+"):
			color = Green
		case strings.HasPrefix(line, "-"):
			color = Red
		case strings.HasPrefix(line, "@@"):
			color = Cyan
		}
		b.WriteString(s.Paint(color, line) + "\n")
	}
	return b.String()
}

// shorten cuts a long line, and of a pair that differs what both begin and end with.
func shorten(lines []string) {
	for i, line := range lines {
		if len(line) <= longLine {
			continue
		}
		head, tail := 1, 0
		if other := partner(lines, i); other != "" {
			for head < min(len(line), len(other)) && line[head] == other[head] {
				head++
			}
			for tail < min(len(line), len(other))-head && line[len(line)-1-tail] == other[len(other)-1-tail] {
				tail++
			}
		}
		const around = 20
		from, to := max(1, head-around), min(len(line), max(head, len(line)-tail)+around)
		to = min(to, from+longLine)
		lines[i] = line[:1] + dots(from > 1) + strings.ToValidUTF8(line[from:to], "") + dots(to < len(line))
	}
}

func dots(cut bool) string {
	if cut {
		return "…"
	}
	return ""
}

// partner is the line that takes the place of this one, or was there before it.
func partner(lines []string, i int) string {
	switch {
	case lines[i][0] == '-' && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "+"):
		return lines[i+1]
	case lines[i][0] == '-' && i+2 < len(lines) && strings.HasPrefix(lines[i+1], `\`) && strings.HasPrefix(lines[i+2], "+"):
		return lines[i+2]
	}
	return ""
}

// harmless is Clean for a line whose blanks count.
func harmless(line string) string {
	blanks := len(line) - len(strings.TrimLeft(line[min(len(line), 1):], " \t")) - min(len(line), 1)
	if blanks <= 0 {
		return Clean(line)
	}
	return line[:1] + line[1:1+blanks] + Clean(line[1+blanks:])
}
