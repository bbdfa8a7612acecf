package hosts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeds gives a fuzz test the fixtures of one format.
func seeds(f *testing.F, ext string) {
	files, err := filepath.Glob("testdata/fixtures/*" + ext)
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// exercise: what add makes is read again and means the same but for the entry (verify, inside), a second add changes
// nothing, remove gives back the text when it is known, and otherwise what means the same.
func exercise(t *testing.T, d document, text []byte) {
	_, had, err := d.find(text)
	if err != nil {
		return
	}
	e := Entry{Command: `/opt/"q" \ é/durable-mcp`, Env: map[string]string{"DURABLE_HOME": "/h"}}
	added, err := d.add(text, e)
	if err != nil {
		unexpected(t, "add", err, text)
		return
	}
	if again, err := d.add(added, e); err != nil || !bytes.Equal(again, added) {
		t.Fatalf("a second add (%v): %q, then %q", err, added, again)
	}
	plain, err := d.add(added, Entry{Command: "durable-mcp"})
	if err != nil {
		t.Fatalf("a change of the entry: %v: %q", err, added)
	}
	if _, err := d.remove(plain, nil); err != nil {
		unexpected(t, "remove after a change", err, plain)
	}
	if _, err := d.remove(added, nil); err != nil {
		unexpected(t, "remove", err, added)
	}
	if got, err := d.remove(added, [][]byte{text}); !had && (err != nil || !bytes.Equal(got, text)) {
		t.Fatalf("remove after add (%v): %q, want %q", err, got, text)
	}
}

// unexpected: a text may be refused, for being written in a way that we do not edit. That it was edited wrongly, and
// verify had to stop it, is a fault.
func unexpected(t *testing.T, what string, err error, text []byte) {
	if strings.Contains(err.Error(), "would change") || strings.Contains(err.Error(), "cannot be read") || strings.Contains(err.Error(), "still there") ||
		strings.Contains(err.Error(), "not what was meant") {
		t.Fatalf("%s: %v: %q", what, err, text)
	}
}

func FuzzJSON(f *testing.F) {
	seeds(f, ".json")
	f.Add([]byte(`{"mcpServers":{"a":{},"durable":{"command":"x","env":{"DURABLE_HOME":"y",},},},}`))
	f.Add([]byte("{ \"a\": 1 // c\n, \"mcpServers\": { /* x */ } /* y */ }"))
	f.Add([]byte("{\"mcpServers\": {\n \"a\": 1, // foo\n \"durable\": {}, \"b\": 2 }}"))
	f.Add([]byte("{\"mcpServers\": {\n \"a\": 1, // foo\n \"durable\": {} }}"))
	d := document{format: jsonFormat{}, path: []string{"mcpServers", Name}, before: stdio}
	f.Fuzz(func(t *testing.T, text []byte) { exercise(t, d, text) })
}

func FuzzTOML(f *testing.F) {
	seeds(f, ".toml")
	f.Add([]byte("[mcp_servers]\ndurable = { command = \"x\", env = { DURABLE_HOME = \"y\" } }\na = 1"))
	f.Add([]byte("[mcp_servers]\ndurable.command = 'x'\ndurable.env.DURABLE_HOME = 'y'\n"))
	f.Add([]byte("[mcp_servers.\"durable\"] \n\"command\".0=''"))
	f.Add([]byte("[mcp_servers.durable]\ncommand = ''\nargs.a = 1\nenv.b.c = 2\n"))
	f.Add([]byte("[[mcp_servers.durable]]\ncommand = 'x'\n"))
	f.Add([]byte("[ mcp_servers . \"durable\" ] # c\n\"command\" = '''x'''\n[mcp_servers.durable.env]\n"))
	d := document{format: tomlFormat{}, path: []string{"mcp_servers", Name}}
	f.Fuzz(func(t *testing.T, text []byte) { exercise(t, d, text) })
}
