package progress

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"durable/ipc/task"
)

var (
	bracketShape = regexp.MustCompile(`^\s*\[\s*(\d{1,12})\s*/\s*(\d{1,12})\s*\]\s*(.*)$`)
	timeAfter    = regexp.MustCompile(`^\s*\d{1,2}:\d\d`)
)

// noProgress are words that percentages stand beside without being progress.
var noProgress = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq("cpu gpu mem memory load usage used use util utilization utilisation idle disk free " +
		"coverage cover covered battery volume humidity threshold confidence accuracy score discount off faster slower loss hit rate") {
		words[word] = true
	}
	return words
}()

// least is the smallest total that a count is believed of.
const least = 2

// counts reads what is only believed after a while.
func counts(line string) []match {
	if m, ok := bracketed(line); ok {
		return []match{m}
	}
	var found []match
	if m, ok := fraction(line); ok {
		found = append(found, m)
	}
	if m, ok := percentage(line); ok {
		found = append(found, m)
	}
	return found
}

// bracketed reads "[3/40] CC o3", as ninja, docker and npm write it. It may change its total as it goes.
func bracketed(line string) (match, bool) {
	if !strings.HasPrefix(strings.TrimLeft(line, " \t"), "[") {
		return match{}, false
	}
	g := bracketShape.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	p, ok := counted(g[1], g[2], g[3])
	return match{key: "[n/m]", rank: rankBracket, at: float64(p.Done), p: p}, ok
}

// fraction reads the first of "Processed 40/100 records" and "step 3 of 10". By hand: this runs on each line of a log.
func fraction(line string) (match, bool) {
	for at := 0; at < len(line); {
		i, length := separator(line[at:])
		if i < 0 {
			return match{}, false
		}
		left, right := at+i, at+i+length
		at = right
		from, end := numberBefore(line, left), numberAfter(line, right)
		if from == left || end == right || !begins(line[:from], "([:=#") || !ends(line[end:]) || timeAfter.MatchString(line[end:]) {
			continue // 11/24 10:30 is a date
		}
		p, ok := counted(line[from:left], line[right:end], line)
		return match{
			key: "n/m:" + skeleton(line[:from]) + line[right:end], rank: rankCount, at: float64(p.Done), p: p,
		}, ok
	}
	return match{}, false
}

// separator finds what stands between two numbers, with its spaces.
func separator(s string) (at, length int) {
	slash, of := strings.IndexByte(s, '/'), strings.Index(s, " of ")
	if of >= 0 && (slash < 0 || of < slash) {
		return of, len(" of ")
	}
	if slash > 0 && slash < len(s)-1 && s[slash-1] == ' ' && s[slash+1] == ' ' {
		return slash - 1, len(" / ")
	}
	return slash, 1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// numberBefore returns where the number begins that ends at end; end if there is none.
func numberBefore(s string, end int) int {
	for end > 0 && isDigit(s[end-1]) {
		end--
	}
	return end
}

// numberAfter returns where the number ends that begins at from.
func numberAfter(s string, from int) int {
	for from < len(s) && isDigit(s[from]) {
		from++
	}
	return from
}

// begins reports whether a number may begin after before: no path, date or version goes on there.
func begins(before, allowed string) bool {
	if before == "" {
		return true
	}
	last := before[len(before)-1]
	return last == ' ' || last == '\t' || strings.IndexByte(allowed, last) >= 0
}

// ends reports whether a number may end before rest.
func ends(rest string) bool {
	if rest == "" || strings.IndexByte(" \t)],;:%|", rest[0]) >= 0 {
		return true
	}
	return rest[0] == '.' && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '.')
}

func counted(done, total, message string) (task.Progress, bool) {
	n, ok1 := count(done)
	m, ok2 := count(total)
	return task.Progress{Done: n, Total: task.Total(m), Message: clean(message)}, ok1 && ok2 && m >= least && n <= m
}

// percentage reads "Receiving objects:  45%" and "[ 45%] Building C object".
func percentage(line string) (match, bool) {
	sign := strings.IndexByte(line, '%')
	if sign < 0 || !ends(line[sign+1:]) {
		return match{}, false
	}
	end := sign
	if end > 0 && line[end-1] == ' ' {
		end--
	}
	from := end
	for from > 0 && (isDigit(line[from-1]) || line[from-1] == '.') {
		from--
	}
	pct, ok := percent(line[from:end])
	if !ok || !begins(line[:from], "([:=|") || beside(line) {
		return match{}, false
	}
	return match{
		key: "%:" + skeleton(line[:from]), rank: rankPercent, at: pct, p: ofHundred(pct, line),
	}, true
}

// beside reports whether a line has one of the words that rule it out.
func beside(line string) bool {
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if noProgress[strings.ToLower(word)] {
			return true
		}
	}
	return false
}

// maxSkeleton is how much of the words around a number make its key, in bytes.
const maxSkeleton = 32

// skeleton is text with its numbers and its spaces evened out, from its end: two lines of the same kind have the same.
func skeleton(text string) string {
	var b strings.Builder
	last := rune(' ')
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			r = '#'
		case unicode.IsSpace(r):
			r = ' '
		}
		if r == last && (r == '#' || r == ' ') || r == utf8.RuneError {
			continue
		}
		last = r
		b.WriteRune(r)
	}
	s := strings.TrimSpace(b.String())
	return s[max(0, len(s)-maxSkeleton):] + "|"
}
