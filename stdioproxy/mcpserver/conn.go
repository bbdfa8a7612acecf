package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what follows the end of the input: first the replies that are due get time, then their
// calls are cancelled and get a little more (a wait answers then that the task still runs).
const (
	drainReplies   = time.Second
	drainCancelled = 2 * time.Second
)

// Framer carries messages, each of them one JSON text.
type Framer interface {
	// Read returns the next message. A *TooLongError concerns one message only: Read goes on after it.
	// Any other error is the end. It is for one goroutine at a time.
	Read() ([]byte, error)
	// Write sends one message, from any goroutine.
	Write([]byte) error
	// Close ends a Read that waits, as far as the carrier can.
	Close() error
}

// TooLongError says that a message was longer than the carrier takes; it was read past.
type TooLongError struct {
	// ID is the message's id as JSON, if it could be found; else nil.
	ID json.RawMessage
	// Limit is in bytes.
	Limit int
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("message longer than %d bytes", e.Limit)
}

// transport is one session over a Framer, for the SDK.
type transport struct {
	framer Framer
	server *Server
	// stop ends the input.
	stop <-chan struct{}
}

// Connect implements mcp.Transport.
func (t *transport) Connect(context.Context) (mcp.Connection, error) {
	c := &conn{
		framer: t.framer, server: t.server, stop: t.stop,
		lines: make(chan line), closed: make(chan struct{}), idle: make(chan struct{}, 1),
		pending: map[jsonrpc.ID]*pending{},
	}
	go c.readLines()
	return c, nil
}

// line is what the Framer read.
type line struct {
	data []byte
	err  error
}

// conn mends what the SDK's own connection gets wrong on a pipe; see the package doc.
type conn struct {
	framer Framer
	server *Server
	stop   <-chan struct{}
	lines  chan line
	// queue holds messages that were made of a line and not read yet; only Read touches it.
	queue []jsonrpc.Message
	// ended: the input is at its end. cancelled: so are the calls that were pending then. Only Read
	// touches them.
	ended, cancelled bool

	closeOnce sync.Once
	closed    chan struct{}

	mu      sync.Mutex
	pending map[jsonrpc.ID]*pending
	// idle gets a signal whenever pending becomes empty.
	idle chan struct{}
}

// pending is a call whose reply is due.
type pending struct {
	method string
	batch  *batch
	place  int // in the batch
	// dropped: the client took the call back and must not get a reply.
	dropped bool
}

// batch is an array of calls that is answered by an array. conn.mu guards it.
type batch struct {
	due int
	// replies are at the places of their calls, so that the answer has the order of the question; nil: none.
	replies []json.RawMessage
}

// readLines ends with the input, or with the connection as soon as the Framer lets go.
func (c *conn) readLines() {
	for {
		data, err := c.framer.Read()
		select {
		case c.lines <- line{data, err}:
		case <-c.closed:
			return
		}
		var long *TooLongError
		if err != nil && !errors.As(err, &long) {
			return
		}
	}
}

// SessionID implements mcp.Connection: a pipe has one session.
func (c *conn) SessionID() string { return "" }

// Close implements mcp.Connection.
func (c *conn) Close() error {
	c.closeOnce.Do(func() { close(c.closed) })
	return c.framer.Close()
}

// Read implements mcp.Connection: it returns the next message for the SDK and answers for itself
// what is none. io.EOF comes when the input is at its end and no reply is due any more.
func (c *conn) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		if len(c.queue) > 0 {
			msg := c.queue[0]
			c.queue = c.queue[1:]
			return msg, nil
		}
		if c.ended {
			if err := c.drain(); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.closed:
			return nil, io.EOF
		case <-c.stop:
			c.end()
		case l := <-c.lines:
			if err := c.take(l); err != nil {
				return nil, err
			}
		}
	}
}

// take queues the messages of one line. Its error is one of writing.
func (c *conn) take(l line) error {
	var long *TooLongError
	switch {
	case errors.As(l.err, &long):
		bad := invalidRequest(long.ID, "%s; put large data into a file and name the file", long)
		if bad.id == nil {
			bad.id = null
		}
		return c.framer.Write(bad.reply())
	case l.err != nil:
		c.end()
		return nil
	}
	data := bytes.TrimSpace(bytes.TrimPrefix(l.data, []byte("\xef\xbb\xbf")))
	switch {
	case len(data) == 0:
		return nil
	case data[0] == '[' && json.Valid(data):
		return c.takeBatch(data)
	}
	msg, bad := parseMessage(data)
	if bad == nil {
		bad = c.accept(msg, nil, 0)
	}
	if bad != nil {
		return c.framer.Write(bad.reply())
	}
	return nil
}

// takeBatch queues the parts of an array. Only eras before 2025-06-18 have those; being strict about
// it would help nobody.
func (c *conn) takeBatch(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) == 0 {
		return c.framer.Write(invalidRequest(null, "empty batch").reply())
	}
	// The batch is due once more itself, so that no early reply completes it.
	b := &batch{due: 1, replies: make([]json.RawMessage, len(parts))}
	for i, part := range parts {
		msg, bad := parseMessage(part)
		if bad == nil {
			bad = c.accept(msg, b, i)
		}
		if bad != nil {
			c.mu.Lock()
			b.replies[i] = bad.reply()
			c.mu.Unlock()
		}
	}
	c.mu.Lock()
	out := b.doneLocked(0, nil)
	c.mu.Unlock()
	return c.write(out)
}

// accept queues msg for the SDK, or says what is wrong with it at this point of the session. place is its place in b.
func (c *conn) accept(msg jsonrpc.Message, b *batch, place int) *badMessage {
	if msg == nil {
		return nil
	}
	req, ok := msg.(*jsonrpc.Request)
	if !ok {
		c.queue = append(c.queue, msg)
		return nil
	}
	switch {
	case !req.ID.IsValid():
		if req.Method == "notifications/cancelled" && !c.takeBack(req) {
			return nil
		}
	default:
		c.mu.Lock()
		if c.pending[req.ID] != nil {
			c.mu.Unlock()
			return invalidRequest(null, "id %s is in use by a call that is not answered yet", formatID(req.ID))
		}
		c.pending[req.ID] = &pending{method: req.Method, batch: b, place: place}
		if b != nil {
			b.due++
		}
		c.mu.Unlock()
		if req.Method == "server/discover" && c.server.discovers(req) {
			// The SDK would take the session for a modern one, and refuse a later initialize.
			if err := c.Write(context.Background(), c.server.discover(req)); err != nil {
				c.server.log.Debug("reply not written", "error", err)
			}
			return nil
		}
	}
	c.queue = append(c.queue, msg)
	return nil
}

// takeBack notes that a call gets no reply, and puts its id into the SDK's form. It reports whether
// the SDK is to hear of it.
func (c *conn) takeBack(req *jsonrpc.Request) bool {
	var params struct {
		ID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(req.Params, &params) != nil {
		return false
	}
	id, err := parseID(params.ID)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[id]
	if p == nil || p.method == "initialize" {
		return false
	}
	p.dropped = true
	*req = *cancellation(id)
	return true
}

// cancellation is the notification that makes the SDK cancel the call with that ID.
func cancellation(id jsonrpc.ID) *jsonrpc.Request {
	return &jsonrpc.Request{
		Method: "notifications/cancelled",
		Params: encode(map[string]any{"requestId": id.Raw()}),
	}
}

// Write implements mcp.Connection.
func (c *conn) Write(_ context.Context, msg jsonrpc.Message) error {
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		data, err := jsonrpc.EncodeMessage(msg)
		if err != nil {
			return err
		}
		return c.write(data)
	}
	c.mu.Lock()
	p := c.pending[resp.ID]
	data := encodeResponse(resp)
	if p != nil && p.dropped {
		data = nil
	}
	if p != nil && p.batch != nil {
		data = p.batch.doneLocked(p.place, data)
	}
	c.mu.Unlock()
	err := c.write(data)
	// Only now: what is pending holds the end of the session back.
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, resp.ID)
	if len(c.pending) == 0 {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
	return err
}

func (c *conn) write(data []byte) error {
	if data == nil {
		return nil
	}
	return c.framer.Write(data)
}

// doneLocked adds the reply to the call at a place (nil: there is none) and returns the whole answer if that was the
// last one due. conn.mu is held.
func (b *batch) doneLocked(place int, reply json.RawMessage) json.RawMessage {
	if reply != nil {
		b.replies[place] = reply
	}
	if b.due--; b.due > 0 {
		return nil
	}
	replies := slices.DeleteFunc(b.replies, func(r json.RawMessage) bool { return r == nil })
	if len(replies) == 0 {
		return nil
	}
	return encode(replies)
}

// end notes the end of the input. Listens have no other end, so they get it now.
func (c *conn) end() {
	c.ended = true
	c.cancel(func(p *pending) bool { return p.method == "subscriptions/listen" })
}

// cancel queues the cancellation of the pending calls that match.
func (c *conn) cancel(match func(*pending) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, p := range c.pending {
		if match(p) {
			c.queue = append(c.queue, cancellation(id))
		}
	}
}

// drain waits for the replies that are due: for a while as they are, then with their calls cancelled.
// It returns nil when it has queued those cancellations, io.EOF when the session may end.
func (c *conn) drain() error {
	limit := drainReplies
	if c.cancelled {
		limit = drainCancelled
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	for c.due() > 0 {
		select {
		case <-c.idle:
		case <-c.closed:
			return io.EOF
		case <-t.C:
			if c.cancelled {
				return io.EOF
			}
			c.cancelled = true
			c.cancel(func(*pending) bool { return true })
			return nil
		}
	}
	return io.EOF
}

func (c *conn) due() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}
