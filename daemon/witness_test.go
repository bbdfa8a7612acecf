package daemon_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The witness file is what really ran, told by the jobs themselves and not by the store. Each line is one
// write of O_APPEND, so the lines of several processes neither mix nor overtake each other. One of a process that is killed meanwhile may be
// cut off where a page of the file ends, and the next one then follows without a newline:
//
//	ID ATTEMPT PID begin N     an attempt begins, with N steps done
//	ID ATTEMPT PID step N      step N is done, and was checkpointed before this line
//	ID ATTEMPT PID end N       Run returns
//	ID ATTEMPT 0 cancelled     the test: a cancel was acknowledged, when that was the latest attempt
//	- 0 PID dead               the test: that process has gone and was reaped
type witnessLine struct {
	id      string
	attempt int
	pid     int
	what    string
	n       int
}

// afterCut finds the whole line behind one that was cut off.
var afterCut = regexp.MustCompile(`([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} \d+ \d+ (begin|step|end) \d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} \d+ 0 cancelled|- 0 \d+ dead)$`)

func parseWitness(line string) (witnessLine, error) {
	if whole := afterCut.FindString(line); whole != "" {
		line = whole
	}
	f := strings.Fields(line)
	if len(f) != 4 && len(f) != 5 {
		return witnessLine{}, fmt.Errorf("witness line %q: %d fields", line, len(f))
	}
	attempt, err1 := strconv.Atoi(f[1])
	pid, err2 := strconv.Atoi(f[2])
	w := witnessLine{id: f[0], attempt: attempt, pid: pid, what: f[3]}
	var err3 error
	if len(f) == 5 {
		w.n, err3 = strconv.Atoi(f[4])
	}
	if err1 != nil || err2 != nil || err3 != nil {
		return witnessLine{}, fmt.Errorf("witness line %q: not a number", line)
	}
	return w, nil
}

// testimony is what the lines say of one task.
type testimony struct {
	attempt   int // the latest
	pid       int
	over      bool // the latest attempt has ended, by its end line or its process's death
	done      int  // the greatest step that is known to be checkpointed
	at        int  // the step that the latest attempt has reached
	begun     int  // attempts
	ended     int  // the step of the last end line; -1: there was none
	attempts  map[int]bool
	cancelled int // the attempt in which a cancel was acknowledged, after which none may begin; -1: there was none
}

// judge reads the lines in order and returns what each task went through, and every breach of a promise.
func judge(lines []witnessLine) (map[string]*testimony, []string) {
	tasks := map[string]*testimony{}
	var breaches []string
	for _, l := range lines {
		if l.what == "dead" {
			for _, t := range tasks {
				t.over = t.over || t.pid == l.pid
			}
			continue
		}
		t := tasks[l.id]
		if t == nil {
			t = &testimony{over: true, ended: -1, cancelled: -1, attempts: map[int]bool{}}
			tasks[l.id] = t
		}
		for _, breach := range t.take(l) {
			breaches = append(breaches, fmt.Sprintf("task %s: attempt %d, process %d: %s %d: %s", l.id, l.attempt, l.pid, l.what, l.n, breach))
		}
	}
	return tasks, breaches
}

const afterCancel = "begins after an acknowledged cancel"

// take adds one line.
func (t *testimony) take(l witnessLine) (breaches []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			breaches = append(breaches, fmt.Sprintf(format, args...))
		}
	}
	switch l.what {
	case "cancelled":
		if t.cancelled < 0 {
			t.cancelled = l.attempt
		}
		return nil
	case "begin":
		say(!t.over, "overlaps attempt %d of process %d", t.attempt, t.pid)
		say(l.attempt <= t.attempt, "comes after attempt %d", t.attempt)
		say(t.cancelled >= 0 && l.attempt > t.cancelled, "%s", afterCancel)
		// A checkpoint may be durable and its line missing: the process died between the two.
		say(t.begun > 0 && (l.n < t.done || l.n > t.done+1), "checkpoint of step %d is lost", t.done)
		t.attempt, t.pid, t.over, t.at, t.done = l.attempt, l.pid, false, l.n, max(t.done, l.n)
		t.attempts[l.attempt] = true
		t.begun++
		return breaches
	}
	if l.attempt != t.attempt || l.pid != t.pid {
		say(true, "interleaves with attempt %d of process %d", t.attempt, t.pid)
		return breaches
	}
	say(t.over, "comes after the attempt was over")
	switch l.what {
	case "step":
		say(l.n != t.at+1, "follows step %d", t.at)
		t.at, t.done = l.n, max(t.done, l.n)
	case "end":
		t.over, t.ended = true, l.n
	default:
		say(true, "unknown line")
	}
	return breaches
}

// witness is the test's side of the file.
type witness struct {
	path string
	f    *os.File
}

func newWitness(t testing.TB, path string) *witness {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &witness{path: path, f: f}
}

func (w *witness) say(format string, args ...any) error {
	_, err := fmt.Fprintf(w.f, format+"\n", args...)
	return err
}

// read returns all lines of the file.
func (w *witness) read(t testing.TB) []witnessLine {
	t.Helper()
	f, err := os.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var lines []witnessLine
	for s := bufio.NewScanner(f); s.Scan(); {
		l, err := parseWitness(s.Text())
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// about returns the lines, cut ones too, in which a task is named.
func (w *witness) about(t testing.TB, id string) string {
	t.Helper()
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, id) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func TestParseWitness(t *testing.T) {
	const id = "01a227ec-db63-7cf1-962d-b9e2f308cac5"
	for line, want := range map[string]witnessLine{
		id + " 3 15 begin 0":                      {id, 3, 15, "begin", 0},
		id + " 3 15- 0 15 dead":                   {"-", 0, 15, "dead", 0},
		"01a2" + id + " 4 16 end 2":               {id, 4, 16, "end", 2},
		id + " 3 15 st" + id + " 4 16 step 2":     {id, 4, 16, "step", 2},
		id[:20] + id + " 4 0 cancelled":           {id, 4, 0, "cancelled", 0},
		id + " 3 15 begin" + id + " 3 16 begin 1": {id, 3, 16, "begin", 1},
	} {
		if got, err := parseWitness(line); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", line, got, err, want)
		}
	}
	if got, err := parseWitness(id + " 3 15 beg"); err == nil && got.what == "begin" {
		t.Errorf("half a line: %+v", got)
	}
}

// TestJudge shows that the judge of the kill test can say no.
func TestJudge(t *testing.T) {
	tests := []struct {
		name  string
		lines string
		want  []string // the breaches, without the words in front
	}{
		{"one attempt", "a 1 7 begin 0; a 1 7 step 1; a 1 7 end 1", nil},
		{"resumed at the checkpoint", "a 1 7 begin 0; a 1 7 step 1; - 0 7 dead; a 2 8 begin 1; a 2 8 step 2; a 2 8 end 2", nil},
		{"checkpoint durable, line missing", "a 1 7 begin 0; a 1 7 step 1; - 0 7 dead; a 2 8 begin 2; a 2 8 end 2", nil},
		{"twice in a row", "a 1 7 begin 0; - 0 7 dead; a 2 8 begin 1; - 0 8 dead; a 3 9 begin 2; a 3 9 end 2", nil},
		{"checkpoint lost that only a begin told of", "a 1 7 begin 0; - 0 7 dead; a 2 8 begin 1; - 0 8 dead; a 3 9 begin 0",
			[]string{"checkpoint of step 1 is lost"}},
		{"retry in one process", "a 1 7 begin 0; a 1 7 end 0; a 2 7 begin 0; a 2 7 end 0", nil},
		{"two tasks at once", "a 1 7 begin 0; b 1 7 begin 0; a 1 7 end 0; b 1 7 end 0", nil},
		{"cancelled while it began", "a 1 0 cancelled; a 1 7 begin 0; a 1 7 end 0", nil},
		{"overlap in one process", "a 1 7 begin 0; a 2 7 begin 0", []string{"overlaps attempt 1 of process 7"}},
		{"overlap of two processes", "a 1 7 begin 0; a 2 8 begin 0", []string{"overlaps attempt 1 of process 7"}},
		{"a dead attempt speaks", "a 1 7 begin 0; - 0 7 dead; a 2 8 begin 0; a 1 7 step 1; a 2 8 step 1",
			[]string{"interleaves with attempt 2 of process 8"}},
		{"the same attempt twice", "a 1 7 begin 0; - 0 7 dead; a 1 8 begin 0", []string{"comes after attempt 1"}},
		{"a line after the end", "a 1 7 begin 0; a 1 7 end 0; a 1 7 step 1", []string{"comes after the attempt was over"}},
		{"checkpoint lost", "a 1 7 begin 0; a 1 7 step 1; - 0 7 dead; a 2 8 begin 0", []string{"checkpoint of step 1 is lost"}},
		{"checkpoint from nowhere", "a 1 7 begin 0; a 1 7 step 1; - 0 7 dead; a 2 8 begin 3", []string{"checkpoint of step 1 is lost"}},
		{"a step left out", "a 1 7 begin 0; a 1 7 step 2", []string{"follows step 0"}},
		{"cancel forgotten", "a 1 7 begin 0; a 1 0 cancelled; - 0 7 dead; a 2 8 begin 0",
			[]string{afterCancel}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines []witnessLine
			for line := range strings.SplitSeq(tt.lines, "; ") {
				l, err := parseWitness(line)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, l)
			}
			_, breaches := judge(lines)
			var got []string
			for _, b := range breaches {
				got = append(got, b[strings.LastIndex(b, ": ")+2:])
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
