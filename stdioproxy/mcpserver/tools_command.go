package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"durable/ipc/task"
)

// kindCommand is the kind behind start_command.
const kindCommand = "command"

// shellHint is for a command line that came where a list of arguments belongs, or the other way round.
const shellHint = `["make", "-j8"] runs a program; shell=true with ["make && ./deploy"] a shell line`

// stdinOpen is the kind's stdin of a command that takes input.
const stdinOpen = "open"

var restarts = []string{
	string(task.RestartOnInterrupt), string(task.RestartOnFailure), string(task.RestartAlways), string(task.RestartNever),
}

var commandArgs = append([]arg{
	{name: "command", typ: argStrings, required: true, desc: `["make", "-j8"]; with shell=true one line: ["make && ./deploy"]`},
	{name: "cwd", typ: argString, desc: "Working folder; default the project's"},
	{name: "env", typ: argMap, desc: "More environment; values are kept secret"},
	{name: "shell", typ: argBoolean},
	{name: "timeout", typ: argString, desc: "A string such as 90s or 2h; default none"},
	{name: "retries", typ: argInteger, min: 0, max: task.MaxAttempts - 1, desc: "When it fails; default 0"},
	{name: "restart", typ: argString, enum: restarts, desc: "Default on-interrupt: after a reboot"},
	{name: "nice", typ: argInteger, min: 0, max: 19},
	{name: "interactive", typ: argBoolean, desc: "Keep stdin open for send_task_input"},
}, common...)

func (s *Server) commandTools() []tool {
	return []tool{
		{
			name: "start_command", title: "Start command", destructive: true, args: commandArgs,
			description: "Durable background job: runs any program (build, test, server, download). " +
				"Answers at once; it goes on when this session or the host ends, and its output and exit code are kept.",
			run: startCommand,
		},
		{
			name: "send_task_input", title: "Send task input", destructive: true,
			args: []arg{
				taskArg,
				{name: "text", typ: argString},
				{name: "newline", typ: argBoolean, desc: "End text with one; default true"},
				{name: "close", typ: argBoolean, desc: "Then end the input (EOF)"},
				{name: "offset", typ: argInteger, min: 0, desc: "next_offset of the last answer: makes a repetition safe"},
			},
			description: "Durable background job: writes to the stdin of a command started with interactive=true.",
			run:         sendInput,
		},
	}
}

func startCommand(ctx context.Context, c *call) (*reply, error) {
	params, err := c.commandParams()
	if err != nil {
		return nil, err
	}
	spec := task.Spec{Kind: kindCommand, Restart: task.Restart(c.args.string("restart"))}
	if spec.Timeout, err = c.duration("timeout"); err != nil {
		return nil, err
	}
	if n := c.args.int("retries", 0); n > 0 {
		spec.Retry = &task.Retry{MaxAttempts: int(n) + 1}
	}
	return c.submitSpec(ctx, spec, params, "")
}

// commandParams are the kind's parameters.
func (c *call) commandParams() (map[string]any, error) {
	cwd, err := c.folder()
	if err != nil {
		return nil, err
	}
	params := map[string]any{"cwd": cwd}
	command := c.args.strings("command")
	switch shell := c.args.bool("shell"); {
	case len(command) == 0 || strings.TrimSpace(command[0]) == "":
		return nil, task.Errorf(task.InvalidArgument, "command: empty").WithHint("%s", shellHint)
	case shell && len(command) > 1:
		return nil, task.Errorf(task.InvalidArgument, "command: %d items, with shell=true it is one line", len(command)).WithHint("%s", shellHint)
	case shell:
		params["shell"], params["script"] = true, command[0]
	default:
		params["command"] = command
	}
	if env := c.args.env("env"); len(env) > 0 {
		params["env"] = env
	}
	if n := c.args.int("nice", 0); n > 0 {
		params["nice"] = n
	}
	if c.args.bool("interactive") {
		params["stdin"] = stdinOpen
	}
	return params, nil
}

// folder is the working folder: absolute, the project's by default.
func (c *call) folder() (string, error) {
	if cwd := c.args.string("cwd"); cwd != "" {
		return c.s.resolvePath("cwd", cwd)
	}
	if c.s.opts.Base == "" {
		return "", task.Errorf(task.InvalidArgument, "cwd: missing, and this host has no folder that could be taken instead").
			WithHint("give an absolute path")
	}
	return c.s.opts.Base, nil
}

// duration reads an argument such as 2h.
func (c *call) duration(name string) (task.Duration, error) {
	text := c.args.string(name)
	if text == "" {
		return 0, nil
	}
	var d task.Duration
	if err := json.Unmarshal(encode(text), &d); err != nil {
		return 0, task.Errorf(task.InvalidArgument, "%s: %.40q, want a number with a unit, such as 90s or 2h", name, text)
	}
	return d, nil
}

// takesInput refuses a command that was started without an input: in its first moment the daemon cannot tell yet, and
// would keep what nobody reads.
func (c *call) takesInput(ctx context.Context, ref task.Ref) error {
	t, err := c.s.svc.Get(ctx, ref)
	if err != nil {
		return err
	}
	var params struct {
		Stdin string `json:"stdin"`
	}
	if t.Kind != kindCommand || t.Status.Terminal() || json.Unmarshal(t.Params, &params) != nil || params.Stdin == stdinOpen {
		return nil
	}
	return task.Errorf(task.FailedPrecondition, "task %d takes no input: it was started without interactive=true", t.Number).
		WithHint("cancel_task %d, then start_command with interactive=true, if it has to read input", t.Number)
}

// sendInput writes to a program's stdin. Without an offset the text is appended and the request is sent once only:
// nobody below us could tell a repetition.
func sendInput(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	text, given := c.args["text"].(string)
	end := c.args.bool("close")
	if !given && !end {
		return nil, task.Errorf(task.InvalidArgument, "text: missing").WithHint("or close=true, which ends the input")
	}
	if newline, ok := c.args["newline"].(bool); given && (newline || !ok) {
		text += "\n"
	}
	if err := c.takesInput(ctx, ref); err != nil {
		return nil, err
	}
	state, err := c.s.svc.Stdin(ctx, ref, task.StdinRequest{
		Offset: c.args.int("offset", task.StdinAtEnd), Data: strings.NewReader(text), Close: end,
	})
	if err != nil {
		return nil, err
	}
	next := "get_task_output shows what the program makes of it."
	if state.Closed {
		next = "The input has ended; the program gets no more. " + next
	}
	return &reply{
		text: fmt.Sprintf("sent bytes: %d\nnext_offset: %d\nclosed: %t\nnext: %s", len(text), state.Offset, state.Closed, next),
		data: map[string]any{"sent_bytes": len(text), "next_offset": state.Offset, "closed": state.Closed, "next": next},
	}, nil
}
