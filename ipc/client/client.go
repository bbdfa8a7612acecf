package client

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// Defaults of Options, and the durations that are none.
const (
	DefaultDialRetry = 6 * time.Second
	DefaultReconnect = 30 * time.Second
	// Never, as a patience: the first failure is the answer.
	Never = time.Duration(-1)
	// Forever, as a patience: only the context ends it.
	Forever = time.Duration(1<<63 - 1)
)

// maxIdle is how many connections are kept for the next request: as many as requests commonly run at
// once. They cost the daemon a goroutine each, and nothing while they idle.
const maxIdle = 128

// Options of a Client; the zero value talks to whichever daemon [socket.Find] finds.
type Options struct {
	// Socket names the socket; empty: it is looked for at each dial.
	Socket string
	// Name is what the program calls itself: see SetName.
	Name string
	// Via is the door that this program is: one of the Via words, or empty.
	Via string
	// DialRetry is how long a request waits for a daemon that is not there, or that left in the
	// middle of it; 0 is DefaultDialRetry.
	DialRetry time.Duration
	// Reconnect is the same for a Wait or a stream that was established already; 0 is DefaultReconnect.
	Reconnect time.Duration
	// Start starts a daemon; it is called when none listens, by one request at a time, once for each
	// at most, and returns when the daemon listens. Nil: none is ever started. See [StartDetached].
	Start func(context.Context) error
}

// Client implements [task.Service] over the socket. It is safe for concurrent use.
type Client struct {
	opts      Options
	name      atomic.Pointer[[]string]
	transport *http.Transport
	starting  chan struct{} // holds one token while Start runs
}

var _ task.Service = (*Client)(nil)

// New returns a client. It opens nothing: the first request does.
func New(opts Options) *Client {
	if opts.DialRetry == 0 {
		opts.DialRetry = DefaultDialRetry
	}
	if opts.Reconnect == 0 {
		opts.Reconnect = DefaultReconnect
	}
	c := &Client{opts: opts, starting: make(chan struct{}, 1)}
	c.transport = &http.Transport{
		DialContext:         c.dial,
		MaxIdleConnsPerHost: maxIdle,
		DisableCompression:  true,
	}
	c.SetName(opts.Name)
	return c
}

// SetName changes the name under which further requests are made, such as "claude-ai 0.14": it becomes
// the owner's client of a task. Characters that a header cannot carry are left out.
func (c *Client) SetName(name string) {
	var header []string
	if name = headerText(name); name != "" {
		header = []string{name}
	}
	c.name.Store(&header)
}

// Close drops idle connections. Requests that run are not touched, and further ones are possible.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Socket returns the path of the socket that the next dial will use.
func (c *Client) Socket() (string, error) {
	p, err := socket.Find(c.opts.Socket)
	return p.Socket, err
}

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	path, err := c.Socket()
	if err != nil {
		return nil, err
	}
	conn, err := socket.Dial(ctx, path)
	if err != nil {
		return nil, &dialError{path: path, err: err}
	}
	return conn, nil
}

// headerText keeps what may stand in a header's value.
func headerText(s string) string {
	const limit = 200
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(out) < limit; i++ {
		if s[i] >= ' ' && s[i] != 0x7f {
			out = append(out, s[i])
		}
	}
	return string(out)
}
