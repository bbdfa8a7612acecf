package install

import (
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"durable/ipc/socket"
	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with the file that holds what is registered on a platform.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

// has reports whether a program is there that looks at our texts. Where all has to be tested, it must be.
func has(t *testing.T, program string) bool {
	t.Helper()
	_, err := exec.LookPath(program)
	if err == nil {
		return true
	}
	if os.Getenv("DURABLE_TEST_ALL") != "" && runtime.GOOS == "linux" {
		t.Errorf("left out: %s is not installed", program)
	}
	t.Logf("left out: %s is not installed", program)
	return false
}

// annas and machine are paths as they are on no machine: those of the golden files are the same everywhere.
var (
	annas   = socket.Paths{State: "/home/anna/state", Socket: "/home/anna/state/durable.sock", Log: "/home/anna/state/durabled.log"}
	machine = socket.Paths{State: "/var/lib/durable", Socket: "/run/durable/durable.sock", Log: "/var/lib/durable/durabled.log", System: true}
)

func TestUnits(t *testing.T) {
	for name, make := range map[string]func() (string, error){
		"user.service":        func() (string, error) { return Unit("/home/anna/.local/lib/durable/current/durabled", false, false) },
		"user-socket.service": func() (string, error) { return Unit("/home/anna/.local/lib/durable/current/durabled", false, true) },
		"system.service":      func() (string, error) { return Unit("/usr/local/lib/durable/current/durabled", true, false) },
		"user.socket":         func() (string, error) { return SocketUnit(annas, false) },
		"system.socket":       func() (string, error) { return SocketUnit(machine, true) },
	} {
		text, err := make()
		if err != nil {
			t.Error(err)
			continue
		}
		golden(t, name, text)
	}
}

func TestPlists(t *testing.T) {
	for name, paths := range map[string]socket.Paths{"agent.plist": annas, "daemon.plist": machine} {
		text, err := Plist("/Users/anna/lib & co/current/durabled", paths, paths.System)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
		values := readPlist(t, text)
		if bad := checkPlist(values); bad != nil {
			t.Errorf("%s: %v", name, bad)
		}
		for key, want := range map[string]any{
			"AbandonProcessGroup": true, "RunAtLoad": true, "ExitTimeOut": "30", "Label": Name,
			"KeepAlive": map[string]any{"SuccessfulExit": false},
		} {
			if got := fmt.Sprint(values[key]); got != fmt.Sprint(want) {
				t.Errorf("%s: %s is %s, want %v", name, key, got, want)
			}
		}
		lint(t, name, text)
	}
}

// plistReaders are other readers of property lists; each says why it cannot read a text. plistutil has no such status: it makes nothing
// of what it does not understand, and hands back unread what is to be of the form that it has. So its binary form is read again.
var plistReaders = map[string]func(text string) error{
	"plistutil": func(text string) error {
		binary, err := through(text, "plistutil", "-i", "-", "-f", "bin", "-o", "-")
		if err != nil {
			return err
		}
		again, err := through(binary, "plistutil", "-i", "-", "-f", "xml", "-o", "-")
		if err != nil {
			return err
		}
		if got, want := fmt.Sprint(elements(again)), fmt.Sprint(elements(text)); got != want {
			return fmt.Errorf("it reads %s", got)
		}
		return nil
	},
	"python3": func(text string) error {
		_, err := through(text, "python3", "-c", "import sys,plistlib; plistlib.loads(sys.stdin.buffer.read())")
		return err
	},
	"plutil": func(text string) error {
		_, err := through(text, "plutil", "-lint", "-")
		return err
	},
}

func through(text string, program ...string) (string, error) {
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	return string(out), err
}

// elements are those of an XML text, with what is in them.
func elements(text string) (all []string) {
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		switch tok, err := dec.Token(); tok := tok.(type) {
		case xml.StartElement:
			all = append(all, "<"+tok.Name.Local+">")
		case xml.CharData:
			if word := strings.TrimSpace(string(tok)); word != "" {
				all = append(all, word)
			}
		default:
			if err != nil {
				return all
			}
		}
	}
}

// lint has the readers that are there read ours, and something that they must not take for good.
func lint(t *testing.T, name, text string) {
	t.Helper()
	for reader, read := range plistReaders {
		if reader == "plutil" && runtime.GOOS != "darwin" || !has(t, reader) {
			continue // plutil is nowhere else
		}
		if err := read(text); err != nil {
			t.Errorf("%s: %s: %v", name, reader, err)
		}
		for good, bad := range map[string]string{"</array>": "", "<true/>": "<tru/>", "<integer>5": "<integer>five"} {
			if read(strings.Replace(text, good, bad, 1)) == nil {
				t.Errorf("%s takes a text with %q in the place of %q", reader, bad, good)
			}
		}
	}
}

// plistSchema has the types of the keys that launchd.plist(5) knows and we use: the readers take any key for good.
var plistSchema = map[string]string{
	"Label": "string", "ProgramArguments": "array", "RunAtLoad": "bool", "KeepAlive": "dict", "ThrottleInterval": "integer", "ExitTimeOut": "integer",
	"AbandonProcessGroup": "bool", "ProcessType": "string", "UserName": "string", "GroupName": "string", "Umask": "integer",
	"LimitLoadToSessionType": "array", "WorkingDirectory": "string", "StandardOutPath": "string", "StandardErrorPath": "string",
	"SuccessfulExit": "bool",
}

func checkPlist(values map[string]any) (bad []string) {
	for key, value := range values {
		is := map[bool]string{true: "string"}[true]
		switch v := value.(type) {
		case bool:
			is = "bool"
		case int:
			is = "integer"
		case []any:
			is = "array"
		case map[string]any:
			is = "dict"
			bad = append(bad, checkPlist(v)...)
		}
		if want := plistSchema[key]; want != is {
			bad = append(bad, fmt.Sprintf("%s is a %s, want %q", key, is, want))
		}
	}
	slices.Sort(bad)
	return bad
}

// readPlist reads the dictionary of a property list.
func readPlist(t *testing.T, text string) map[string]any {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		tok, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local == "dict" {
			return readValue(t, dec, start).(map[string]any)
		}
	}
}

func readValue(t *testing.T, dec *xml.Decoder, start xml.StartElement) any {
	t.Helper()
	var text strings.Builder
	var values []any
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			t.Fatal("it ends in the middle")
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text.Write(tok)
		case xml.StartElement:
			values = append(values, readValue(t, dec, tok))
		case xml.EndElement:
			return value(t, start.Name.Local, text.String(), values)
		}
	}
}

func value(t *testing.T, element, text string, values []any) any {
	t.Helper()
	switch element {
	case "true", "false":
		return element == "true"
	case "integer":
		n := 0
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
		return n
	case "array":
		return values
	case "dict":
		dict := map[string]any{}
		for pair := range slices.Chunk(values, 2) {
			dict[pair[0].(string)] = pair[1]
		}
		return dict
	}
	return text
}

// TestWindows: what would be registered there.
func TestWindows(t *testing.T) {
	paths := socket.Paths{State: `C:\Users\Anna\.durable`, Log: `C:\Users\Anna\.durable\durabled.log`}
	text, err := LogonTask(`C:\Users\Anna & Co\.durable\programs\current\durabled.exe`, `PC\Anna`, paths)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "logon-task.xml", strings.ReplaceAll(text, "\r\n", "\n"))
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Error("lines must end as they do there")
	}
	if err := xml.Unmarshal([]byte(strings.Replace(text, "UTF-16", "UTF-8", 1)), new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
	c := windowsConfig(`C:\Program Files\durable\current\durabled.exe`, socket.Paths{Log: `C:\ProgramData\durable\durabled.log`})
	var b strings.Builder
	fmt.Fprintf(&b, "name %s\ndisplay %s\ndescription %s\nuser %s\nprogram %s\narguments %q\n", c.Name, c.DisplayName, c.Description, c.UserName, c.Executable, c.Arguments)
	for _, key := range slices.Sorted(maps.Keys(c.Option)) {
		fmt.Fprintf(&b, "option %s %v\n", key, c.Option[key])
	}
	fmt.Fprintf(&b, "folder %s\n", folderAccess)
	golden(t, "windows-service.txt", b.String())
}

func TestPathsThatCannotBeRegistered(t *testing.T) {
	for _, path := range []string{`/a"b`, `/a'b`, `/a\b`} {
		if _, err := Unit(path, false, false); task.AsError(err).Code != task.InvalidArgument {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, path := range []string{"/a\nb", "/a\tb\x00", "/a{{b", "/\xff\xfe", "/a\x7f"} {
		_, err1 := Unit(path, false, false)
		_, err2 := Plist(path, annas, false)
		_, err3 := LogonTask(path, "a", annas)
		_, err4 := SocketUnit(socket.Paths{Socket: path}, false)
		for _, err := range []error{err1, err2, err3, err4} {
			if e := task.AsError(err); e == nil || e.Code != task.InvalidArgument || e.Hint == "" {
				t.Errorf("%q: %v", path, err)
			}
		}
	}
}
