package mcpserver

import (
	"context"
	"encoding/json"

	"durable/ipc/task"
)

// kindMigration is the kind behind start_data_migration.
const kindMigration = "data_migration"

// common are the arguments that every start tool takes.
var common = []arg{
	{name: "title", typ: argString, desc: "For people; default: made from the arguments"},
	{name: "idempotency_key", typ: argString, desc: "Repeating a call under the same key starts nothing twice"},
}

var formats = []string{"csv", "tsv", "jsonl", "parquet", "sqlite"}

var migrationArgs = append([]arg{
	{name: "source_path", typ: argString, required: true, desc: "CSV, TSV, JSON Lines (.gz, .zst), Parquet, SQLite: absolute path, may be a glob; or postgres://USER@HOST/DB"},
	{name: "destination_path", typ: argString, required: true, desc: "Likewise; format by extension"},
	{name: "record_count", typ: argInteger, min: 1, desc: "At most"},
	{name: "mode", typ: argString, enum: []string{"create", "replace", "append", "upsert"}, desc: "create (default) refuses what exists; upsert needs key"},
	{name: "table", typ: argString, desc: "Of a database; *: all"},
	{name: "query", typ: argString, desc: "SELECT, not a table"},
	{name: "key", typ: argString, desc: "Columns a,b"},
	{name: "source_password", typ: argString, desc: "env:NAME, file:PATH (of the daemon) or literal"},
	{name: "destination_password", typ: argString},
	{name: "destination_table", typ: argString},
	{name: "source_format", typ: argString, enum: formats, desc: "Default: found"},
	{name: "destination_format", typ: argString},
	{name: "columns", typ: argStrings, desc: "NEW=OLD renames"},
	{name: "batch_size", typ: argInteger, min: 1},
	{name: "rate_limit", typ: argInteger, min: 1, desc: "Records a second"},
	{name: "on_error", typ: argString, enum: []string{"fail", "skip", "file"}, desc: "Bad rows; file keeps them"},
	{name: "dry_run", typ: argBoolean},
}, common...)

func (s *Server) startTools() []tool {
	return []tool{
		{
			name: "start_data_migration", title: "Start data migration", destructive: true, args: migrationArgs,
			description: "Durable background job: copies records between files, SQLite and PostgreSQL, exactly once. " +
				"Outlives this session.",
			run: startMigration,
		},
		{
			name: "retry_task", title: "Retry task", destructive: true,
			args: []arg{
				taskArg,
				{name: "fresh", typ: argBoolean, desc: "From the beginning, not from the checkpoint"},
				{name: "env", typ: argMap, desc: "Its environment values again: they are not kept"},
				common[1],
			},
			description: "Durable background job: starts a new task that repeats an ended one, from its last checkpoint.",
			run:         retryTask,
		},
	}
}

func startMigration(ctx context.Context, c *call) (*reply, error) {
	source, err := c.s.resolvePath("source_path", c.args.string("source_path"))
	if err != nil {
		return nil, err
	}
	destination, err := c.s.resolvePath("destination_path", c.args.string("destination_path"))
	if err != nil {
		return nil, err
	}
	from, to := redact(c.args.string("source_path")), redact(c.args.string("destination_path"))
	if n, ok := c.args["record_count"]; ok {
		c.say(ctx, "info", "Starting migration of %d records from %s to %s", n, from, to)
	} else {
		c.say(ctx, "info", "Starting migration of all records from %s to %s", from, to)
	}
	params := c.params("title", "idempotency_key")
	params["source_path"], params["destination_path"] = source, destination
	return c.submit(ctx, kindMigration, params, "Data migration started. Track progress at: %s")
}

// params are the arguments without those that are not the kind's.
func (c *call) params(except ...string) map[string]any {
	params := make(map[string]any, len(c.args))
	for name, v := range c.args {
		params[name] = v
	}
	for _, name := range except {
		delete(params, name)
	}
	return params
}

// submit starts a task of that kind and answers with it; accepted is the log line, with a place for the URI, or empty.
func (c *call) submit(ctx context.Context, kind string, params map[string]any, accepted string) (*reply, error) {
	return c.submitSpec(ctx, task.Spec{Kind: kind}, params, accepted)
}

// submitSpec adds to spec what every start tool takes.
func (c *call) submitSpec(ctx context.Context, spec task.Spec, params map[string]any, accepted string) (*reply, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, task.Errorf(task.Internal, "encode parameters: %w", err)
	}
	spec.Title, spec.Params = c.args.string("title"), raw
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	t, err := c.s.svc.Submit(ctx, spec, c.key())
	if err != nil {
		return nil, err
	}
	if accepted != "" {
		c.say(ctx, "info", accepted, statusURI(t.ID))
	}
	return c.begun(ctx, t), nil
}

// begun answers with a task that has just been accepted, once a person was asked, where one has to be.
func (c *call) begun(ctx context.Context, t task.Task) *reply {
	c.s.hub.follow(c.req.Session, t.ID)
	if t.Phase == task.PhaseAwaitingApproval {
		return c.ask(ctx, t)
	}
	return started(t)
}

func retryTask(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	t, err := c.s.svc.Retry(ctx, ref, task.RetryRequest{Fresh: c.args.bool("fresh"), Env: c.args.env("env")}, c.key())
	if err != nil {
		return nil, err
	}
	return c.begun(ctx, t), nil
}
