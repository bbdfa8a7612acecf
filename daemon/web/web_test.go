package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon/web"
	"durable/ipc/task"
	"durable/ipc/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// open serves "in" at a free port of 127.0.0.1 until the test ends.
func open(t *testing.T, auth string) (door *web.Door, tokenPath string, client *http.Client) {
	t.Helper()
	tokenPath = token.Path(t.TempDir())
	door, err := web.Listen(t.Context(), web.Options{Address: "127.0.0.1:0", Auth: auth, Token: tokenPath})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- door.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "in") }))
	}()
	client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		door.Close(ctx)
		door.Close(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return door, tokenPath, client
}

// ask sends a request with these headers and returns the answer.
func ask(t *testing.T, client *http.Client, address string, header http.Header) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func TestGate(t *testing.T) {
	door, path, client := open(t, "")
	word, err := token.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + word
	_, port, _ := net.SplitHostPort(door.Addr())
	for name, c := range map[string]struct {
		header http.Header
		status int
		text   string
	}{
		"right token":    {http.Header{"Authorization": {bearer}}, 200, "in"},
		"small letters":  {http.Header{"Authorization": {"bearer " + word}}, 200, "in"},
		"no token":       {http.Header{}, 401, "durablectl token"},
		"empty":          {http.Header{"Authorization": {"Bearer "}}, 401, "wrong token"},
		"wrong token":    {http.Header{"Authorization": {bearer + "x"}}, 401, "wrong token"},
		"a part of it":   {http.Header{"Authorization": {bearer[:len(bearer)-1]}}, 401, "wrong token"},
		"other scheme":   {http.Header{"Authorization": {"Basic " + word}}, 401, "wrong token"},
		"two of them":    {http.Header{"Authorization": {bearer, bearer}}, 401, "wants a token"},
		"foreign origin": {http.Header{"Authorization": {bearer}, "Origin": {"https://evil.example"}}, 403, "web page"},
		"own origin":     {http.Header{"Authorization": {bearer}, "Origin": {"http://" + door.Addr()}}, 403, "web page"},
		"null origin":    {http.Header{"Authorization": {bearer}, "Origin": {"null"}}, 403, "web page"},
		"referer":        {http.Header{"Authorization": {bearer}, "Referer": {"https://evil.example/"}}, 403, "web page"},
		"foreign host":   {http.Header{"Authorization": {bearer}, "Host": {"evil.example:" + port}}, 403, "refused"},
		"like localhost": {http.Header{"Authorization": {bearer}, "Host": {"localhost.evil.example"}}, 403, "refused"},
		"localhost":      {http.Header{"Authorization": {bearer}, "Host": {"LocalHost:" + port}}, 200, "in"},
		"IPv6":           {http.Header{"Authorization": {bearer}, "Host": {"[::1]:" + port}}, 200, "in"},
		"another port":   {http.Header{"Authorization": {bearer}, "Host": {"127.0.0.1:1"}}, 200, "in"}, // a tunnel
	} {
		status, body, header := ask(t, client, door.Addr(), c.header)
		if status != c.status || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d %q, want %d with %q", name, status, body, c.status, c.text)
		}
		if asked := header.Get("WWW-Authenticate"); (asked != "") != (status == 401) {
			t.Errorf("%s: WWW-Authenticate %q with %d", name, asked, status)
		}
		if status == 200 != (body == "in") {
			t.Errorf("%s: %d with %q", name, status, body)
		}
	}
}

// TestNewToken: a new one is in force at once, without one nobody comes in.
func TestNewToken(t *testing.T) {
	door, path, client := open(t, web.AuthToken)
	old, err := token.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	word, err := token.Renew(path)
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]int{old: 401, word: 200} {
		if status, body, _ := ask(t, client, door.Addr(), http.Header{"Authorization": {"Bearer " + given}}); status != want {
			t.Errorf("token %s: %d %q, want %d", given, status, body, want)
		}
	}
}

func TestNoAuth(t *testing.T) {
	door, path, client := open(t, web.AuthNone)
	if status, body, _ := ask(t, client, door.Addr(), http.Header{}); status != 200 {
		t.Errorf("%d %q", status, body)
	}
	if status, body, _ := ask(t, client, door.Addr(), http.Header{"Origin": {"http://localhost"}}); status != 403 {
		t.Errorf("with Origin: %d %q", status, body)
	}
	if _, err := token.Load(path); err == nil {
		t.Error("a token was made that nobody needs")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		address, auth string
		ok            bool
	}{
		{"127.0.0.1:8080", "", true}, {"127.0.0.1:8080", "token", true}, {"127.0.0.1:8080", "none", true},
		{"127.1.2.3:8080", "none", true}, {"[::1]:8080", "none", true}, {"localhost:8080", "none", true},
		{":8080", "token", true}, {"0.0.0.0:8080", "", true}, {"host.example:80", "", true},
		{":8080", "none", false}, {"0.0.0.0:8080", "none", false}, {"[::]:8080", "none", false},
		{"192.168.0.1:8080", "none", false}, {"host.example:80", "none", false}, {"localhost.evil.example:80", "none", false},
		{"8080", "", false}, {"", "", false}, {"127.0.0.1", "", false}, {"127.0.0.1:8080", "basic", false},
	} {
		err := web.Check(c.address, c.auth)
		if (err == nil) != c.ok {
			t.Errorf("Check(%q, %q) = %v", c.address, c.auth, err)
		}
		if err != nil && (!errors.Is(err, task.InvalidArgument) || task.AsError(err).Hint == "") {
			t.Errorf("Check(%q, %q): %v, hint %q", c.address, c.auth, err, task.AsError(err).Hint)
		}
	}
}

func TestPortInUse(t *testing.T) {
	door, _, _ := open(t, web.AuthNone)
	_, err := web.Listen(t.Context(), web.Options{Address: door.Addr(), Auth: web.AuthNone})
	if e := task.AsError(err); err == nil || e.Code != task.FailedPrecondition || e.Hint == "" || !strings.Contains(e.Message, door.Addr()) {
		t.Errorf("%v", err)
	}
	other, err := web.Listen(t.Context(), web.Options{Address: "127.0.0.1:0", Token: filepath.Join(t.TempDir(), "none", "here")})
	if err == nil || other != nil {
		t.Errorf("without a place for the token: %v", err)
	}
}
