package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// batchFlags are the parameters of batch_processing that are flags: the flag's name and the parameter's.
var batchFlags = map[string]string{
	"format":        "format",
	"batch-size":    "batch_size",
	"total":         "total_items",
	"delay":         "processing_delay",
	"parallelism":   "parallelism",
	"stdin":         "stdin",
	"on-error":      "on_error",
	"batch-retries": "retries",
	"batch-timeout": "timeout",
	"grace":         "grace",
	"output-limit":  "output_limit",
}

func newStartBatch(c *cli) *cobra.Command {
	var (
		sub   submission
		input string
		cwd   string
		env   []string
	)
	cmd := &cobra.Command{
		Use:     "batch [flags] [-- CMD [ARG...]]",
		Aliases: []string{"batch_processing"},
		Short:   "Give items to a program, in batches",
		Long: `Give items to a program, in batches: the lines of a file, JSON Lines, the rows of a CSV file, the
files of a quoted pattern, or the numbers 1 to --total. Every batch whose end was recorded is in the
artifact output.jsonl, in order, once; after a crash the task goes on where it was. The items of
failed batches are in failed.jsonl, which a later call takes as --input.

CMD is run for each batch as it is, without a shell. {items} becomes one argument per item, {item}
(with --batch-size 1) the item, {file} the path of a file with the batch, {index} its number. Where
none of them but {index} is there, the batch comes on stdin. Without CMD the batches are only paced.`,
		Example: `  durablectl start batch --input urls.txt --parallelism 4 -- curl -fsSO {item}
  durablectl start batch --input 'photos/*.jpg' --batch-size 20 -- mogrify -resize 50% {items}
  durablectl start batch --total 300 --batch-size 30 --delay 1 --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return do(func(ctx context.Context, args []string) error {
				params, err := batchParams(cmd.Flags(), input)
				if err == nil && len(args) > 0 {
					err = batchCommand(params, args, cwd, env)
				}
				if err != nil {
					return err
				}
				return c.inFlags(c.start(ctx, "batch_processing", params, sub), batchFlags)
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&input, "input", "i", "", "`FILE` of items, or a quoted pattern of files")
	f.StringVarP(&cwd, "cwd", "C", "", "run CMD in this `FOLDER` (default: this one)")
	f.StringArrayVarP(&env, "env", "e", nil, "set `NAME=VALUE`, or NAME to what it is here; may be repeated; values stay secret")
	declareBatch(cmd)
	sub.flags(cmd)
	if err := cmd.MarkFlagDirname("cwd"); err != nil {
		panic(err) // no such flag: a slip in this program
	}
	return cmd
}

// declareBatch declares the flags of batchFlags.
func declareBatch(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("format", "", "of the input: lines, jsonl, csv, glob, numbers (default: by its name, then its content)")
	f.Int("batch-size", 0, "`N` items in a batch (default: 1)")
	f.Int64("total", 0, "process `N` items at most; without --input: the numbers 1 to N")
	f.Float64("delay", 0, "pause `SECONDS` between batches (default: 0 with CMD, 10 without)")
	f.Int("parallelism", 0, "run `N` batches at the same time (default: 1)")
	f.String("stdin", "", "how a batch is written: lines, jsonl, none (default: as the input is)")
	f.String("on-error", "", "a batch that fails: continue with the others (default), or stop")
	f.Int("batch-retries", 0, "try a batch that fails again up to `N` times")
	f.Duration("batch-timeout", 0, "end a run of CMD after this time")
	f.Duration("grace", 0, "time between the request to end and the end by force (default: 10s)")
	f.Int("output-limit", 0, "keep `BYTES` of what each batch prints (default: 65536)")
	offer(cmd, "format", "lines", "jsonl", "csv", "glob", "numbers")
	offer(cmd, "stdin", "lines", "jsonl", "none")
	offer(cmd, "on-error", "continue", "stop")
}

// batchParams returns the parameters that were given; the rest is the kind's to decide.
func batchParams(flags *pflag.FlagSet, input string) (map[string]any, error) {
	params := map[string]any{}
	if flags.Changed("input") {
		path, err := source("--input", input)
		if err != nil {
			return nil, err
		}
		params["input"] = path
	}
	for flag, param := range batchFlags {
		f := flags.Lookup(flag)
		if !f.Changed {
			continue
		}
		v, err := value(flags, f)
		if err != nil {
			return nil, err
		}
		params[param] = v
	}
	return params, nil
}

// batchCommand adds the program, its folder and its environment.
func batchCommand(params map[string]any, args []string, cwd string, env []string) error {
	if cwd == "" {
		cwd = "."
	}
	folder, err := absolute(cwd)
	if err != nil {
		return err
	}
	given, err := environment(env)
	if err != nil {
		return err
	}
	params["command"], params["cwd"], params["environ"] = args, folder, environ()
	if len(given) > 0 {
		params["env"] = given
	}
	return nil
}
