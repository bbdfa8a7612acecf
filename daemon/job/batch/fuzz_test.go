package batch

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzTemplate: what compiles can be filled, and {items} is the only thing that changes the number of arguments.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{item}", "{items}", "a{index}b", "{{x}}", "{}", "{file}", "{{item}", "{item}}", "{print $1}", "{{{item}}}"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, arg, text string) {
		tmpl, err := compile([]string{"program", arg})
		if err != nil {
			return
		}
		items := []item{textItem(text), textItem(text)}
		want := 2
		if arg == "{items}" {
			want = 3
		}
		if got := tmpl.fill(7, items, "/file"); len(got) != want || got[0] != "program" {
			t.Errorf("%q: %q", arg, got)
		}
	})
}

// FuzzReaders: whatever a file holds, its items are valid JSON, and reading on from any position gives what reading through gave.
func FuzzReaders(f *testing.F) {
	f.Add("a\nb\r\n\n{\"x\":1}\n", byte(0))
	f.Add("{\"a\":1}\n[2]\n\"x\"\n", byte(1))
	f.Add("\uFEFFa,b\n1,\"x\ny\"\n\n3,4\n", byte(2))
	f.Add("a,b\r\n1,\"x\r\ny\"\r\n", byte(2))
	f.Fuzz(func(t *testing.T, content string, kind byte) {
		form := []format{formatLines, formatJSONL, formatCSV}[kind%3]
		path := filepath.Join(t.TempDir(), "in.csv")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		all, places, err := readAll(form, path, position{})
		if err != nil {
			return
		}
		for _, it := range all {
			if !json.Valid(it) || !utf8.Valid(it) || slices.Contains(it, '\n') {
				t.Fatalf("item %q", it)
			}
		}
		for i, at := range places {
			rest, _, err := readAll(form, path, at)
			if err != nil || !slices.EqualFunc(rest, all[i+1:], func(a, b item) bool { return string(a) == string(b) }) {
				t.Fatalf("after item %d, at %+v: %q, %v; want %q", i, at, rest, err, all[i+1:])
			}
		}
	})
}

func readAll(form format, path string, at position) (all []item, places []position, err error) {
	r, err := openItems(form, path, at)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = r.close() }()
	for {
		it, err := r.next()
		if err == io.EOF {
			return all, places, nil
		}
		if err != nil {
			return all, places, err
		}
		all, places = append(all, it), append(places, r.position())
	}
}

// FuzzRecord: a line of the journal is read or refused.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"batch":1,"item":"x","ok":true,"seconds":0}`))
	f.Add([]byte(`{"batch":1,"begun":2}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if rec, ok := parse(line); ok && rec.Batch <= 0 {
			t.Errorf("%+v", rec)
		}
	})
}
