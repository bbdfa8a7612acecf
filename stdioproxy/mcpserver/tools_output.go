package mcpserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"durable/ipc/task"
)

// Limits of get_task_output and the log resource. A model's context is what they protect.
const (
	defaultOutputLines = 100
	maxOutputLines     = 1000
	// maxOutputBytes bounds one answer of the tool, in bytes of output.
	maxOutputBytes = 16 << 10
	// maxLogResource bounds task://log/{id}, in bytes.
	maxLogResource = 64 << 10
)

func (s *Server) outputTools() []tool {
	return []tool{{
		name: "get_task_output", title: "Task output", readOnly: true,
		args: []arg{
			taskArg,
			{name: "lines", typ: argInteger, min: 1, max: maxOutputLines, desc: fmt.Sprintf("Last lines; default %d", defaultOutputLines)},
			{name: "offset", typ: argInteger, min: 0, desc: "Read on from this byte instead"},
			{name: "attempt", typ: argInteger, min: 1, desc: "Default: the latest"},
			{name: "stream", typ: argString, enum: []string{task.StreamLog, task.StreamStdout, task.StreamStderr}},
		},
		description: fmt.Sprintf("Durable background job: its log, the last lines or a page from offset, at most %d KiB.", maxOutputBytes>>10),
		run:         getOutput,
	}}
}

func getOutput(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	q := task.LogQuery{Stream: c.args.string("stream"), Attempt: int(c.args.int("attempt", 0))}
	var p *page
	if _, paged := c.args["offset"]; paged {
		q.Offset = c.args.int("offset", 0)
		p, err = readPage(ctx, c.s.svc, ref, q, maxOutputBytes)
	} else {
		q.Tail = int(c.args.int("lines", defaultOutputLines))
		p, err = readTail(ctx, c.s.svc, ref, q, maxOutputBytes)
	}
	if err != nil {
		return nil, err
	}
	return p.reply(), nil
}

// page is a piece of a log: whole lines, unless one line is longer than the limit.
type page struct {
	task.Log
	text string
	// next is the offset at which the log goes on.
	next int64
}

// readPage reads at most limit bytes from q.Offset on.
func readPage(ctx context.Context, svc task.Service, ref task.Ref, q task.LogQuery, limit int) (*page, error) {
	l, err := svc.Log(ctx, ref, q)
	if err != nil {
		return nil, err
	}
	defer l.Body.Close()
	b, err := io.ReadAll(io.LimitReader(l.Body, int64(limit)+1))
	if err != nil {
		return nil, task.Errorf(task.Unavailable, "read log: %w", err)
	}
	if len(b) > limit {
		b = b[:limit]
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			b = b[:i+1]
		}
	}
	return &page{Log: l, text: strings.ToValidUTF8(string(b), "\uFFFD"), next: l.Offset + int64(len(b))}, nil
}

// readTail reads the last q.Tail lines, fewer if they are longer than limit bytes together.
func readTail(ctx context.Context, svc task.Service, ref task.Ref, q task.LogQuery, limit int) (*page, error) {
	p, err := readPage(ctx, svc, ref, q, limit)
	if err != nil || p.next >= p.Size || p.Size-p.Offset <= int64(limit) {
		return p, err
	}
	q.Tail, q.Offset = 0, p.Size-int64(limit)
	if p, err = readPage(ctx, svc, ref, q, limit); err != nil {
		return nil, err
	}
	// The cut lies somewhere in a line: begin with the next one.
	if i := strings.IndexByte(p.text, '\n'); i >= 0 && i+1 < len(p.text) {
		p.text, p.Offset = p.text[i+1:], p.Offset+int64(i)+1
	}
	return p, nil
}

func (p *page) reply() *reply {
	state := "the attempt goes on and may write more"
	if p.Ended {
		state = "the attempt has ended"
	}
	next := fmt.Sprintf("That is all there is; %s.", state)
	if p.next < p.Size {
		next = fmt.Sprintf("More follows: call again with offset %d.", p.next)
	} else if !p.Ended {
		next += fmt.Sprintf(" offset %d reads on from here.", p.next)
	}
	head := fmt.Sprintf("stream: %s, attempt: %d, bytes %d to %d of %d, ended: %t\nnext: %s",
		p.Stream, p.Attempt, p.Offset, p.next, p.Size, p.Ended, next)
	return &reply{
		text: head + "\n---\n" + p.text,
		data: map[string]any{
			"stream": p.Stream, "attempt": p.Attempt, "offset": p.Offset, "next_offset": p.next,
			"size": p.Size, "ended": p.Ended, "next": next, "output": p.text,
		},
	}
}
