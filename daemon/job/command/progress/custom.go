package progress

import (
	"regexp"
	"strings"

	"durable/ipc/task"
)

// Pattern is a user's own regular expression for progress.
type Pattern struct{ re *regexp.Regexp }

// NewPattern compiles a user's own expression. Its named groups are done and total, or percent, and message.
func NewPattern(expr string) (*Pattern, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, task.Errorf(task.InvalidArgument, "progress: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: ")).
			WithHint("the syntax is RE2: https://golang.org/s/re2syntax")
	}
	if re.SubexpIndex("done") < 0 && re.SubexpIndex("percent") < 0 {
		return nil, task.Errorf(task.InvalidArgument, "progress: the expression names no group done and none percent").
			WithHint(`such as (?P<done>\d+) of (?P<total>\d+), or (?P<percent>\d+)%%`)
	}
	return &Pattern{re: re}, nil
}

// match applies the expression to a line.
func (p *Pattern) match(line string) (match, bool) {
	groups := p.re.FindStringSubmatch(line)
	if groups == nil {
		return match{}, false
	}
	group := func(name string) string {
		if i := p.re.SubexpIndex(name); i >= 0 {
			return strings.TrimSpace(groups[i])
		}
		return ""
	}
	report := task.Progress{Message: clean(group("message"))}
	if done, ok := count(group("done")); ok {
		report.Done = done
		if total, ok := count(group("total")); ok && total > 0 {
			report.Total = task.Total(total)
		}
	} else if pct, ok := percent(strings.TrimSuffix(group("percent"), "%")); ok {
		report = ofHundred(pct, report.Message)
	} else {
		return match{}, false
	}
	return match{key: "custom", rank: rankCustom, sure: true, at: float64(report.Done), p: report}, true
}

var fileShape = regexp.MustCompile(`^\s*(\d[\d.]*)(%|\s*/\s*(\d+))?(?:\s+(.*))?$`)

// fileLine reads a line that a program writes on purpose: "40/100 message", "40% message", "40 message", or a message
// alone for what was reported before.
func fileLine(line string, before match) (match, bool) {
	m := match{key: "file", rank: rankFile, sure: true}
	g := fileShape.FindStringSubmatch(line)
	switch {
	case g == nil && strings.TrimSpace(line) == "":
		return match{}, false
	case g == nil:
		if before.rank == rankFile {
			m.p = before.p
		}
		m.p.Message = clean(line)
	case g[2] == "%":
		pct, ok := percent(g[1])
		if !ok {
			return match{}, false
		}
		m.p = ofHundred(pct, g[4])
	default:
		done, ok := count(g[1])
		if !ok {
			return match{}, false
		}
		m.p = task.Progress{Done: done, Message: clean(g[4])}
		if total, ok := count(g[3]); ok && total > 0 {
			m.p.Total = task.Total(total)
		}
	}
	m.at = float64(m.p.Done)
	return m, true
}
