//go:build wine

package daemon_test

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/ipc/polltest"
)

// wine runs the Windows build. Its named pipes never hear of a connection, so that the daemon is spoken to over HTTP.
type wine struct {
	t      *testing.T
	dir    string // of the programs
	drive  string // C:
	env    []string
	url    string
	daemon *exec.Cmd
}

// TestWindowsBuild (go test -tags wine ./daemon -run TestWindowsBuild; wants wine64): the daemon of the Windows build runs commands, finds them again after it was killed, and ends their trees.
func TestWindowsBuild(t *testing.T) {
	w := newWine(t)
	w.build("build", "-o", w.dir+"/", "durable/cmd/durabled", "durable/cmd/durable-shim")
	w.start()
	w.command("1", `echo hello & exit 7`)
	if got := w.ends("1"); !strings.Contains(got, "exit status 7") {
		t.Errorf("a command: %s", got)
	}
	if got := w.call("get_task_output", `{"task_id":"1"}`); !strings.Contains(got, "hello") {
		t.Errorf("its output: %s", got)
	}
	w.command("2", `for /l %i in (1,0,2) do @if exist C:\gate exit 5`)
	w.command("3", `for /l %i in (1,0,2) do @if exist C:\never exit 6`)
	w.kill()
	w.start()
	for _, task := range []string{"2", "3"} {
		if got := w.call("get_task_status", `{"task_id":"`+task+`"}`); !strings.Contains(got, "status: running, attempt 1") {
			t.Errorf("after a kill of the daemon: %s", got)
		}
	}
	w.call("cancel_task", `{"task_id":"3"}`)
	if got := w.ends("3"); !strings.Contains(got, "status: cancelled") {
		t.Errorf("a cancelled command: %s", got)
	}
	if err := os.WriteFile(filepath.Join(w.drive, "gate"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := w.ends("2"); !strings.Contains(got, "exit status 5") || !strings.Contains(got, "attempt 1") {
		t.Errorf("a command that outlived the daemon: %s", got)
	}
}

// TestWindowsOwners: whose folder and whose pipe are taken for the system service's, as far as wine has owners and access lists.
func TestWindowsOwners(t *testing.T) {
	w := newWine(t)
	for test, of := range map[string]string{"TestFolder": "durable/install", "TestTrusted": "durable/ipc/socket"} {
		program := filepath.Join(w.dir, test+".exe")
		w.build("test", "-c", "-o", program, of)
		cmd := exec.CommandContext(t.Context(), "/usr/lib/wine/wine64", program, "-test.v", "-test.run=^"+test+"$")
		cmd.Env = w.env
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: "+test+" ") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func newWine(t *testing.T) *wine {
	t.Helper()
	const program = "/usr/lib/wine/wine64"
	w := &wine{t: t, dir: t.TempDir()}
	prefix := shortDir(t)
	w.drive = filepath.Join(prefix, "drive_c")
	w.env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEARCH=win64", `DURABLE_HOME=C:\state`)
	t.Cleanup(func() {
		w.kill()
		_ = w.run("/usr/lib/wine/wineserver64", "-k") // all of this prefix
	})
	if err := w.run(program, "wineboot", "-i"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.drive, "windows/system32/bcryptprimitives.dll"), randomLibrary(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.run(program, "cmd", "/c", "exit 0"); err != nil { // the first program of a prefix starts what belongs to a desktop, and may fail
		t.Fatal(err)
	}
	state := filepath.Join(w.drive, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "config.toml"), []byte("[policy]\ncommands = \"allow\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// build runs the go command for Windows.
func (w *wine) build(args ...string) {
	w.t.Helper()
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

func (w *wine) run(args ...string) error {
	cmd := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	if w.t.Context().Err() != nil { // a cleanup
		cmd = exec.Command(args[0], args[1:]...)
	}
	cmd.Env = w.env
	return cmd.Run()
}

// start starts the daemon and opens a session with it.
func (w *wine) start() {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	w.url = "http://" + address + "/mcp"
	w.daemon = exec.Command("/usr/lib/wine/wine64", filepath.Join(w.dir, "durabled.exe"), "run", "--http", address, "--http-auth", "none")
	log, err := os.Create(filepath.Join(w.t.TempDir(), "log")) // no pipe: what outlives the daemon would hold it open
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	w.daemon.Env, w.daemon.Stdout, w.daemon.Stderr = w.env, log, log
	if err := w.daemon.Start(); err != nil {
		w.t.Fatal(err)
	}
	polltest.Until(w.t, patience, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the daemon does not listen: %w: %s", err, text)
		}
		return conn.Close()
	})
}

func (w *wine) kill() {
	if w.daemon != nil {
		_ = w.daemon.Process.Kill()
		_ = w.daemon.Wait()
	}
	w.daemon = nil
}

// command starts a script, as the task of that number, and waits until it runs.
func (w *wine) command(number, script string) {
	w.t.Helper()
	words, err := json.Marshal([]string{`C:\windows\system32\cmd.exe`, "/c", script})
	if err != nil {
		w.t.Fatal(err)
	}
	got := w.call("start_command", fmt.Sprintf(`{"command":%s,"cwd":"C:\\"}`, words))
	for deadline := time.Now().Add(patience); !strings.Contains(got, "status: running, attempt 1") && !strings.Contains(got, "ended: "); {
		if time.Now().After(deadline) {
			w.t.Fatalf("task %s does not run: %s", number, got)
		}
		got = w.call("get_task_status", `{"task_id":"`+number+`"}`)
	}
}

// ends waits for a task's end.
func (w *wine) ends(task string) (got string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if got = w.call("wait_for_task", `{"task_id":"`+task+`","timeout_seconds":10}`); strings.Contains(got, "ended: ") {
			return got
		}
	}
	w.t.Fatalf("task %s does not end: %s", task, got)
	return ""
}

// call calls a tool, in a session of its own, and returns the answer as it came.
func (w *wine) call(tool, args string) string {
	w.t.Helper()
	session := ""
	var last string
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"wine","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, args),
	} {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url, strings.NewReader(message))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		last = string(text)
		if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
			session = id
		}
	}
	return last
}

// randomLibrary is a library whose only function is another one's, in the library where wine has it: Go's programs want
// bcryptprimitives.ProcessPrng, which this wine lacks.
func randomLibrary() []byte {
	const page, sector = 0x1000, 0x200
	var exports bytes.Buffer
	const name, function, target = "bcryptprimitives.dll\x00", "ProcessPrng\x00", "advapi32.SystemFunction036\x00"
	const table, names, ordinals, texts = page + 40, page + 44, page + 48, page + 52
	put := func(b *bytes.Buffer, values ...any) {
		for _, v := range values {
			_ = binary.Write(b, binary.LittleEndian, v)
		}
	}
	put(&exports, [3]uint32{}, uint32(texts), [3]uint32{1, 1, 1}, uint32(table), uint32(names), uint32(ordinals))
	put(&exports, uint32(texts+len(name)+len(function)), uint32(texts+len(name)), uint32(0)) // a function inside the table is another's name
	exports.WriteString(name + function + target)

	var b bytes.Buffer
	b.WriteString("MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00" + "PE\x00\x00")
	optional := pe.OptionalHeader64{
		Magic: 0x20b, ImageBase: 0x180000000, SectionAlignment: page, FileAlignment: sector, MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6,
		SizeOfInitializedData: sector, SizeOfImage: 2 * page, SizeOfHeaders: sector, Subsystem: pe.IMAGE_SUBSYSTEM_WINDOWS_GUI,
		DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT, NumberOfRvaAndSizes: 16,
	}
	optional.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{VirtualAddress: page, Size: uint32(exports.Len())}
	put(&b, pe.FileHeader{
		Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(optional)),
		Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
	}, optional, pe.SectionHeader32{
		Name: [8]uint8{'.', 'e', 'd', 'a', 't', 'a'}, VirtualSize: uint32(exports.Len()), VirtualAddress: page, SizeOfRawData: sector, PointerToRawData: sector,
		Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
	})
	b.Write(make([]byte, sector-b.Len()))
	b.Write(exports.Bytes())
	b.Write(make([]byte, 2*sector-b.Len()))
	return b.Bytes()
}
