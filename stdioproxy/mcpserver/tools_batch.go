package mcpserver

import (
	"context"
	"encoding/json"
	"strings"

	"durable/ipc/task"
)

// kindBatch is the kind behind start_batch_processing.
const kindBatch = "batch_processing"

var batchArgs = append([]arg{
	{name: "batch_size", typ: argInteger, min: 1, desc: "Items in a batch; default 1"},
	{name: "total_items", typ: argInteger, min: 1, desc: "At most; required without input: items 1 to total_items"},
	{name: "processing_delay", typ: argNumber, desc: "Seconds between batches; default 10, with command 0"},
	{name: "input", typ: argString, desc: "File of items, or a pattern (dir/*.csv): each file an item"},
	{name: "format", typ: argString, enum: []string{"lines", "jsonl", "csv", "glob", "numbers"}, desc: "Of input; default: found out"},
	{name: "command", typ: argStrings, desc: "Runs for each batch, no shell: {item} (batch_size 1), {items} one argument each, {file}, {index}; else the batch comes on stdin"},
	{name: "stdin", typ: argString, enum: []string{"lines", "jsonl", "none"}},
	{name: "parallelism", typ: argInteger, min: 1, desc: "Batches at the same time; default 1"},
	{name: "retries", typ: argInteger, min: 0, desc: "Of a batch that fails; default 0"},
	{name: "timeout", typ: argString, desc: "Of one batch, such as 30s"},
	{name: "on_error", typ: argString, enum: []string{"continue", "stop"}, desc: "Default continue: failed items are kept in failed.jsonl, fit as input"},
	{name: "cwd", typ: argString, desc: "Working folder; default the project's"},
	{name: "env", typ: argMap, desc: "More environment, secret"},
}, common...)

func (s *Server) batchTools() []tool {
	return []tool{{
		name: "start_batch_processing", title: "Start batch processing", destructive: true, args: batchArgs,
		description: "Durable background job: gives items to a program in batches; without command it only paces. " +
			"Answers at once; after a crash it goes on where it was.",
		run: startBatch,
	}}
}

func startBatch(ctx context.Context, c *call) (*reply, error) {
	params := c.params("title", "idempotency_key")
	if input := c.args.string("input"); input != "" {
		path, err := c.s.resolvePath("input", input)
		if err != nil {
			return nil, err
		}
		params["input"] = path
	}
	if len(c.args.strings("command")) > 0 {
		cwd, err := c.folder()
		if err != nil {
			return nil, err
		}
		params["cwd"] = cwd
	}
	c.say(ctx, "info", "Starting batch processing: %s items in batches of %d", c.batchTotal(), c.args.int("batch_size", 1))
	return c.submit(ctx, kindBatch, params, "Batch processing started. Track progress at: %s")
}

// batchTotal is the number of items as far as it is known.
func (c *call) batchTotal() string {
	if n, ok := c.args["total_items"]; ok {
		return strings.TrimSpace(string(encode(n)))
	}
	return "all"
}

// batchEpilogue is the log line of a batch that has completed.
func batchEpilogue(t task.Task) string {
	var result struct {
		Processed json.Number `json:"processed"`
	}
	if err := json.Unmarshal(t.Result, &result); err != nil || result.Processed == "" {
		result.Processed = "all"
	}
	return "Batch processing completed: " + result.Processed.String() + " items"
}
