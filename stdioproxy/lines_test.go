package stdioproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"durable/stdioproxy/mcpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readAll returns what Read makes of in, an error as its text.
func readAll(in string) []string {
	l := newLines(io.NopCloser(strings.NewReader(in)), io.Discard)
	var got []string
	for {
		b, err := l.Read()
		var long *mcpserver.TooLongError
		switch {
		case errors.As(err, &long):
			got = append(got, "too long: "+string(long.ID))
		case err != nil:
			return append(got, err.Error())
		default:
			got = append(got, string(b))
		}
	}
}

func TestLines(t *testing.T) {
	fit := `{"id":1,"p":"` + strings.Repeat("x", MaxLine-15) + `"}`
	if len(fit) != MaxLine {
		t.Fatal(len(fit))
	}
	over := strings.Replace(fit, "x", "xx", 1)
	huge := `{"p":"` + strings.Repeat(`\"}]`, 5<<20) + `","id":"last"}`
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", []string{"EOF"}},
		{"two", "a\nb\n", []string{"a", "b", "EOF"}},
		{"CRLF", "a\r\nb\r\n", []string{"a", "b", "EOF"}},
		{"blank", "\n\n", []string{"", "", "EOF"}},
		{"no end", "a\nb", []string{"a", "b", "EOF"}},
		{"longest", fit + "\nb\n", []string{fit, "b", "EOF"}},
		{"one over", over + "\nb\n", []string{"too long: 1", "b", "EOF"}},
		{"20 MB, id last", huge + "\nb\n", []string{`too long: "last"`, "b", "EOF"}},
		{"too long without an end", over, []string{"too long: 1", "EOF"}},
	} {
		if diff := cmp.Diff(c.want, readAll(c.in)); diff != "" {
			t.Errorf("%s: -want +got\n%.500s", c.name, diff)
		}
	}
}

// TestTooLongIsNotKept: 200 MB go by, and next to nothing is allocated for them.
func TestTooLongIsNotKept(t *testing.T) {
	chunk := strings.NewReader(strings.Repeat("x", 1<<20))
	var parts []io.Reader
	for range 200 {
		parts = append(parts, io.NewSectionReader(chunk, 0, 1<<20))
	}
	l := newLines(io.NopCloser(io.MultiReader(append(parts, strings.NewReader("\nb\n"))...)), io.Discard)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := l.Read()
	runtime.ReadMemStats(&after)
	var long *mcpserver.TooLongError
	if !errors.As(err, &long) {
		t.Errorf("error %v", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*MaxLine {
		t.Errorf("%d bytes allocated for a line of 200 MB", got)
	}
	if b, err := l.Read(); string(b) != "b" {
		t.Errorf("the next line is %q, %v", b, err)
	}
}

func TestIDScanner(t *testing.T) {
	for in, want := range map[string]string{
		`{"id":1,"method":"x"}`:                        "1",
		`{"method":"x","params":{"id":2},"id":"a\"b"}`: `"a\"b"`,
		` { "id" : -1.5e3 , "x" : [ 1 ] } `:            "-1.5e3",
		`{"params":{"id":2}}`:                          "",
		`{"x":"id","y":3}`:                             "",
		`{"x":"\"id\":7"}`:                             "",
		`{"id":null}`:                                  "",
		`{"id":{"a":1}}`:                               "",
		`{"id":[1]}`:                                   "",
		`[{"id":1}]`:                                   "",
		`{"id":1,"id":2}`:                              "2",
		`{"id":"` + strings.Repeat("x", 300) + `"}`:    "",
		`garbage "id":1`:                               "",
		``:                                             "",
	} {
		var s idScanner
		s.scan([]byte(in))
		if got := string(s.id()); got != want {
			t.Errorf("%.60s: %q, want %q", in, got, want)
		}
	}
}

// FuzzIDScanner: on anything that is a JSON object, the scanner finds what a parser finds.
func FuzzIDScanner(f *testing.F) {
	for _, s := range []string{`{"id":1}`, `{"a":{"id":3},"id":"x"}`, `{"id":"\u0041"}`, `{"a":"}","id":2}`, `{"id":"a","b":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s idScanner
		for _, part := range bytes.SplitAfter(data, []byte("i")) {
			s.scan(part)
		}
		got := s.id()
		if got != nil && !json.Valid(got) {
			t.Fatalf("%q: %q", data, got)
		}
		m := map[string]json.RawMessage{}
		if json.Unmarshal(data, &m) != nil || bytes.Contains(data, []byte(`\u`)) || len(m["id"]) > maxID {
			return
		}
		want := string(m["id"])
		if want != "" && !strings.ContainsRune(`"-0123456789`, rune(want[0])) {
			want = ""
		}
		// Twice the same key: a parser takes the last, and so do we, unless the last is no id.
		if string(got) != want && bytes.Count(data, []byte(`"id"`)) == 1 {
			t.Fatalf("%q: %q, want %q", data, got, want)
		}
	})
}

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	l := newLines(io.NopCloser(strings.NewReader("")), &out)
	for _, m := range []string{`{"a":1}`, `[]`} {
		if err := l.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); got != "{\"a\":1}\n[]\n" {
		t.Errorf("%q", got)
	}
}

func TestBaseFolder(t *testing.T) {
	tmp := t.TempDir()
	for _, c := range []struct{ name, project, cwd, home, want string }{
		{"project", tmp, "/elsewhere", "/home/ann", tmp},
		{"relative project", "p", "/work", "/home/ann", "/work"},
		{"own folder", "", "/srv/x", "/home/ann", "/srv/x"},
		{"root", "", "/", "/home/ann", ""},
		{"home", "", "/home/ann", "/home/ann/", ""},
		{"home under another name", "", tmp, tmp + "/.", ""},
		{"no home", "", "/work", "", "/work"},
		{"gone", "", "", "/home/ann", ""},
	} {
		if got := baseFolder(c.project, c.cwd, c.home, ""); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := baseFolder("", "/Windows/System32", "/home/ann", "/windows"); got != "" {
		t.Errorf("the system's folder: %q", got)
	}
}
