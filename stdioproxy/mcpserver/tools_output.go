package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"durable/ipc/logs"
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
			{name: "grep", typ: argString, desc: "Only lines matching this regexp (RE2)"},
			{name: "offset", typ: argInteger, min: 0, desc: "Read on from this byte of one stream instead"},
			{name: "attempt", typ: argInteger, min: 1, desc: "Default: the latest"},
			{name: "stream", typ: argString, enum: []string{task.StreamLog, task.StreamStdout, task.StreamStderr}, desc: "Default: stdout and stderr merged"},
		},
		description: fmt.Sprintf("Durable background job: its output, the last lines or a page from offset, at most %d KiB.", maxOutputBytes>>10),
		run:         getOutput,
	}}
}

func getOutput(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	o := logs.Options{Stream: c.args.string("stream"), Attempt: int(c.args.int("attempt", 0))}
	if pattern := c.args.string("grep"); pattern != "" {
		if o.Grep, err = regexp.Compile(pattern); err != nil {
			return nil, task.Errorf(task.InvalidArgument, "grep: %w", err).WithHint("RE2 syntax: no backreferences, no lookaround")
		}
	}
	var p *page
	if _, paged := c.args["offset"]; paged {
		o.Offset, o.Main = c.args.int("offset", 0), true
		p, err = readPage(ctx, c.s.svc, ref, o, maxOutputBytes)
	} else {
		o.Tail = int(c.args.int("lines", defaultOutputLines))
		p, err = readTail(ctx, c.s.svc, ref, o, maxOutputBytes)
	}
	if err != nil {
		return nil, err
	}
	return p.reply(), nil
}

// page is a piece of a task's output, fit for reading: whole lines, unless one line is longer than the limit.
type page struct {
	streams []logs.Stream
	attempt int
	ended   bool
	grep    bool
	text    string
	// offset and next are where the piece begins and where the stream goes on, if it is one of one stream.
	offset, next int64
}

// pieceOf is how a limit is divided into what is read at once of a line without end.
const pieceOf = 4

func openOutput(ctx context.Context, svc task.Service, ref task.Ref, o logs.Options, limit int) (*logs.Reader, *page, error) {
	o.Plain, o.MaxLine = true, limit/pieceOf
	r, err := logs.Open(ctx, svc, ref, o)
	if err != nil {
		return nil, nil, err
	}
	first := r.Streams[0]
	return r, &page{streams: r.Streams, attempt: r.Attempt, ended: r.Ended, grep: o.Grep != nil, offset: first.Offset, next: first.Size}, nil
}

// nextPiece returns the text of the next line, or the marker of a hole; io.EOF at the end.
func nextPiece(r *logs.Reader) (logs.Line, string, error) {
	l, err := r.Next()
	switch {
	case errors.Is(err, io.EOF):
		return l, "", io.EOF
	case err != nil:
		var known *task.Error
		if errors.As(err, &known) {
			return l, "", err
		}
		return l, "", task.Errorf(task.Unavailable, "read output: %w", err)
	case l.Hole:
		return l, l.Marker(), nil
	}
	return l, string(l.Text), nil
}

// readPage reads at most limit bytes of one stream from o.Offset on.
func readPage(ctx context.Context, svc task.Service, ref task.Ref, o logs.Options, limit int) (*page, error) {
	r, p, err := openOutput(ctx, svc, ref, o, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var text strings.Builder
	begin, whole, first := p.offset, 0, true // where the last line begins, in the stream and in the text
	for {
		l, piece, err := nextPiece(r)
		if errors.Is(err, io.EOF) {
			p.text = text.String()
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if first {
			p.offset, first = l.Offset, false
		}
		if !l.Part {
			begin, whole = l.Offset, text.Len()
		}
		if text.Len() > 0 && text.Len()+len(piece) > limit {
			if p.next = begin; whole == 0 { // one line fills the page
				p.next, whole = l.Offset, text.Len()
			}
			p.text = text.String()[:whole]
			return p, nil
		}
		text.WriteString(piece)
	}
}

// readTail reads the last o.Tail lines, fewer if they are longer than limit bytes together.
func readTail(ctx context.Context, svc task.Service, ref task.Ref, o logs.Options, limit int) (*page, error) {
	o.TailBytes = int64(limit)
	r, p, err := openOutput(ctx, svc, ref, o, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var text strings.Builder
	for first := true; ; first = false {
		l, piece, err := nextPiece(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if first {
			p.offset = l.Offset
		}
		text.WriteString(piece)
	}
	p.text = text.String()
	if more := len(p.text) - limit; more > 0 { // signs in place of bytes take more room than those
		p.text = strings.ToValidUTF8(p.text[more:], "")
		if i := strings.IndexByte(p.text, '\n'); i >= 0 && i+1 < len(p.text) {
			p.text = p.text[i+1:]
		}
	}
	return p, nil
}

func (p *page) reply() *reply {
	state := "the attempt goes on and may write more"
	if p.ended {
		state = "the attempt has ended"
	}
	one := p.streams[0]
	next := fmt.Sprintf("That is all there is; %s.", state)
	switch {
	case len(p.streams) > 1:
		next = fmt.Sprintf("These are the last lines; %s. For earlier or later ones give stream and offset, or grep.", state)
	case p.next < one.Size:
		next = fmt.Sprintf("More follows: call again with offset %d.", p.next)
	case !p.ended:
		next += fmt.Sprintf(" offset %d reads on from here.", p.next)
	}
	if p.grep && p.text == "" {
		next = "No line matches. " + next
	}
	data := map[string]any{"attempt": p.attempt, "ended": p.ended, "next": next, "output": p.text}
	head := ""
	if len(p.streams) > 1 {
		all := make([]map[string]any, len(p.streams))
		for i, s := range p.streams {
			all[i] = map[string]any{"stream": s.Name, "size": s.Size, "next_offset": s.Size}
			head += fmt.Sprintf("stream: %s, %d bytes, next_offset: %d\n", s.Name, s.Size, s.Size)
		}
		data["streams"] = all
		head += fmt.Sprintf("attempt: %d, ended: %t", p.attempt, p.ended)
	} else {
		data["stream"], data["offset"], data["next_offset"], data["size"] = one.Name, p.offset, p.next, one.Size
		head = fmt.Sprintf("stream: %s, attempt: %d, bytes %d to %d of %d, ended: %t", one.Name, p.attempt, p.offset, p.next, one.Size, p.ended)
	}
	return &reply{text: head + "\nnext: " + next + "\n---\n" + p.text, data: data}
}
