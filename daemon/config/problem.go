package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"durable/ipc/task"
)

// problem is one thing that is wrong. The position is that of path, once place has found it.
type problem struct {
	path      []string
	text      string
	hint      string
	line, col int
}

type problems []problem

func (p *problems) add(path []string, format string, args ...any) *problem {
	*p = append(*p, problem{path: path, text: fmt.Sprintf(format, args...)})
	return &(*p)[len(*p)-1]
}

func (p *problem) withHint(format string, args ...any) { p.hint = fmt.Sprintf(format, args...) }

// maxReported bounds how many problems one error tells.
const maxReported = 20

// err returns all problems as one error, in the order of the file, one a line.
func (p problems) err(file string) *task.Error {
	slices.SortStableFunc(p, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
	})
	var lines []string
	for i, q := range p {
		if i == maxReported {
			lines = append(lines, fmt.Sprintf("and %d more", len(p)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", file, q.line, q.col, q.text))
	}
	e := task.Errorf(task.InvalidArgument, "%s", strings.Join(lines, "\n"))
	for _, q := range p {
		if q.hint != "" {
			e = e.WithHint("%s", q.hint)
			break
		}
	}
	return e.WithDetail("file", file).WithDetail("line", p[0].line).WithDetail("column", p[0].col)
}

// nearest returns the known word that name is most probably a slip of; empty: none is near.
func nearest(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's, with a swap of two neighbours counted once.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// choice names words as a person lists them: a, b or c.
func choice(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
