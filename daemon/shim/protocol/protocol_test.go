package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var (
	moment = time.Date(2026, 11, 24, 12, 30, 0, 123456789, time.UTC)
	spec   = Spec{
		Version: 1, Nonce: "n", Args: []string{"a", "", "b\xff\x00\n\"\\\u2028ü"}, Path: "/p", Dir: "/d", Env: []string{"A=b=c", "E="}, Nice: -5,
		Stdin: StdinOpen, LogLimit: 1 << 40, Grace: 90 * time.Second, KeepChildren: true, Pause: PauseExit,
		Group: Group{"/sys/g", 1 << 40},
	}
	started = Started{
		Version: 1, Nonce: "n", Boot: "b/1", Holder: Process{7, "99"}, Time: moment, Marks: []string{"A=1", "B=2"}, Stdin: "/f", Grace: 1, KeepChildren: true,
		Group: Group{"/sys/g", 7},
	}
	child = Child{1, Process{8, "100"}}
	exit  = Exit{
		Code: -1, Signal: "SIGSEGV", CoreDumped: true, Stopped: true, Started: moment, Ended: moment.Add(1), UserTime: 3, SystemTime: 4, MaxRSS: 5,
	}
	reply = Reply{Refusal: RefusedExec, Message: "exec x: no\n", Child: Process{9, "1"}}
)

func same[T any](t *testing.T, want T, encoded []byte, parse func([]byte) (T, error)) {
	t.Helper()
	got, err := parse(encoded)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: %v\n%s", encoded, err, diff)
	}
	for i := range len(encoded) - 2 { // all but the newline and the brace
		if _, err := parse(encoded[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q, torn: %v", encoded[:i], err)
		}
	}
	newer := bytes.Replace(encoded, []byte(`"version":1`), []byte(`"new":[{"x":null}],"version":2`), 1)
	if _, err := parse(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("%q: %v", newer, err)
	}
	older := bytes.Replace(encoded, []byte("{"), []byte(` { "unknown" : [1, {"a":[true,1.5e9]}, "x"], `), 1)
	if again, err := parse(older); err != nil || !cmp.Equal(again, want) {
		t.Errorf("%q: %+v, %v", older, again, err)
	}
}

func TestRoundTrip(t *testing.T) {
	same(t, spec, spec.Append(), ParseSpec)
	same(t, started, started.Append(), ParseStarted)
	same(t, child, child.Append(), ParseChild)
	same(t, exit, exit.Append(), ParseExit)
	same(t, reply, reply.Append(), ParseReply)
	for _, c := range []Command{{}, {Stop: true}, {Stop: true, Grace: time.Hour}} {
		line := string(c.Append())
		if got, ok := ParseCommand(strings.TrimSuffix(line, "\n")); !ok || got != c {
			t.Errorf("%q: %+v", line, got)
		}
	}
	for _, line := range []string{"", "stop", "stop x", "stop -1", "stdin ", "go"} {
		if c, ok := ParseCommand(line); ok {
			t.Errorf("%q: %+v", line, c)
		}
	}
}

// TestFormat holds version 1 of the files: holders and daemons of several builds read them.
func TestFormat(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"version":1,"nonce":"n","boot":"b/1","pid":7,"start":"99","time":"2026-11-24T12:30:00.123456789Z","marks":["A=1","B=2"],"stdin":"/f","grace_ns":1,"keep_children":true,"cgroup":"/sys/g","cgroup_id":7}`: started.Append(),
		`{"version":1,"pid":8,"start":"100"}`: child.Append(),
		`{"version":1,"code":-1,"signal":"SIGSEGV","core_dumped":true,"stopped":true,"started":"2026-11-24T12:30:00.123456789Z","ended":"2026-11-24T12:30:00.12345679Z","user_ns":3,"system_ns":4,"max_rss":5}`: exit.Append(),
	} {
		if string(got) != want+"\n" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestNoSuccess: what is not a whole end is not an end at all.
func TestNoSuccess(t *testing.T) {
	for _, text := range []string{"", "{}", `{"version":1}`, `{"version":1,"code":0}`, `{"version":1,"ended":"2026-11-24T12:30:00Z"}`,
		`{"version":1,"code":"0","ended":"2026-11-24T12:30:00Z"}`, `{"version":1,"code":0,"ended":"yesterday"}`, `{"version":0,"code":0,"ended":"2026-11-24T12:30:00Z"}`} {
		if e, err := ParseExit([]byte(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
}

func TestMarks(t *testing.T) {
	env := []string{"DURABLE_ATTEMPT=1", "X=y", "DURABLE_TASK_ID=a", "DURABLE_TASK_ID=b"}
	if got := Marks(env); !cmp.Equal(got, []string{"DURABLE_TASK_ID=b", "DURABLE_ATTEMPT=1"}) {
		t.Errorf("got %q", got)
	}
	if got := Marks(env[:2]); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestWriteAndLock(t *testing.T) {
	dir := t.TempDir()
	for _, sync := range []bool{false, true} {
		if err := Write(dir, "f", []byte("text"), sync); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != "text" || !Exists(dir, "f") || Exists(dir, "g") {
		t.Errorf("%q, %v", b, err)
	}
	if err := Write(filepath.Join(dir, "none"), "f", nil, false); err == nil {
		t.Error("no error")
	}
	first, err := TryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	_ = first.Close()
	second, err := TryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
}

// FuzzParse: no input panics; what encoding/json takes for an object, we read alike; and what we write is read back the same.
func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{spec.Append(), started.Append(), child.Append(), exit.Append(), reply.Append(), {},
		[]byte(`{"version":1,"args":["\ud83d\ude00\ud83d\u00e9\/"],"path":"x"}`), []byte(`{"a":[[[]]],"b":{"c":-0.0e-5},"d":null,"version":1,"version":2}`)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkObject(t, data)
		if s, err := ParseSpec(data); err == nil {
			again, err := ParseSpec(s.Append())
			if err != nil || !cmp.Equal(s, again) && !emptyLists(s) {
				t.Errorf("%+v: %+v, %v", s, again, err)
			}
		}
		if s, err := ParseStarted(data); err == nil && s.Time.Year() < 10000 && s.Time.Year() >= 0 {
			if again, err := ParseStarted(s.Append()); err != nil || again.Nonce != s.Nonce || !again.Time.Equal(s.Time) || again.Holder != s.Holder {
				t.Errorf("%+v: %+v, %v", s, again, err)
			}
		}
		_, _ = ParseChild(data)
		if e, err := ParseExit(data); err == nil && e.Ended.IsZero() {
			t.Errorf("an end without a time: %q", data)
		}
		if r, err := ParseReply(data); err == nil && r.Refusal == "" && r.Child.PID <= 1 {
			t.Errorf("up without a program: %q", data)
		}
		_, _ = ParseCommand(string(data))
	})
}

// emptyLists: a list without elements is written as none.
func emptyLists(s Spec) bool { return s.Env != nil && len(s.Env) == 0 }

func checkObject(t *testing.T, data []byte) {
	t.Helper()
	if !utf8.Valid(data) {
		_, _ = parseObject(data)
		return
	}
	var want map[string]any
	if err := json.Unmarshal(data, &want); err != nil || want == nil {
		_, _ = parseObject(data)
		return
	}
	got, err := parseObject(data)
	if err != nil {
		if strings.Count(string(data), "[")+strings.Count(string(data), "{") <= maxDepth {
			t.Errorf("%q: %v", data, err)
		}
		return
	}
	if len(got) != len(want) {
		t.Errorf("%q: %d fields, want %d", data, len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		switch w := w.(type) {
		case string:
			if g.kind != kindText || g.text != w {
				t.Errorf("%q: %q is %+v", data, name, g)
			}
		case bool:
			if g.kind != kindBool || (g.number == 1) != w {
				t.Errorf("%q: %q is %+v", data, name, g)
			}
		}
	}
}

// TestReserve: what was reserved is no part of what is written.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	Reserve(dir, FileExit)
	if Exists(dir, FileExit) {
		t.Error("it is there before it is written")
	}
	if err := Write(dir, FileExit, []byte("short\n"), true); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, FileExit)); err != nil || string(b) != "short\n" {
		t.Errorf("%q, %v", b, err)
	}
}
