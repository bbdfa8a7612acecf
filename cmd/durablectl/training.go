package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"durable/ipc/task"
)

// trainingFlags are the parameters of an ml_training: the flag's name and the parameter's.
var trainingFlags = map[string]string{
	"size":             "dataset_size",
	"epochs":           "epochs",
	"dataset":          "dataset",
	"text-column":      "text_column",
	"label-column":     "label_column",
	"batch-size":       "batch_size",
	"learning-rate":    "learning_rate",
	"seed":             "seed",
	"validation-split": "validation_split",
	"test-split":       "test_split",
	"early-stopping":   "early_stopping",
	"hidden":           "hidden",
}

func newStartTraining(c *cli) *cobra.Command {
	var (
		sub submission
		run command
	)
	cmd := &cobra.Command{
		Use:     "training MODEL [flags] [-- CMD [ARG...]]",
		Aliases: []string{"ml_training"},
		Short:   "Train a classifier, or watch over a training script",
		Long: `Train a classifier that is called MODEL. It learns from texts or from a table (CSV, TSV, JSON Lines),
or, where no data set is named, from samples that are made. After a restart it goes on at the last
epoch, and ends with the same model as if there had been none. The model and metrics.csv are
artifacts of the task; durablectl predict asks the model.

With CMD that program trains instead: its epochs and metrics are read from its output, it goes on
when the daemon is gone, and DURABLE_CHECKPOINT_DIR names a folder for what it saves.`,
		Example: `  durablectl start training spam --dataset mails.csv --text-column body --epochs 20 --watch
  durablectl start training demo --size 5000 --epochs 50
  durablectl start training mine -- python3 train.py`,
		Args: modelAndCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			return do(func(ctx context.Context, args []string) error {
				params, err := trainingParams(cmd, args, run)
				if err != nil {
					return err
				}
				return c.trainingHint(c.start(ctx, "ml_training", params, sub))
			})(cmd, args)
		},
	}
	declareTraining(cmd)
	f := cmd.Flags()
	f.StringVarP(&run.cwd, "cwd", "C", "", "run CMD in this `FOLDER` (default: this one)")
	f.StringArrayVarP(&run.env, "env", "e", nil, "set `NAME=VALUE` for CMD, or NAME to what it is here; may be repeated; values stay secret")
	sub.flags(cmd)
	return cmd
}

// modelAndCommand wants one MODEL, and behind -- what it likes.
func modelAndCommand(cmd *cobra.Command, args []string) error {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		if len(args) == at {
			return usage("nothing after --").WithHint("durablectl start training MODEL -- python3 train.py")
		}
		args = args[:at]
	}
	return exactly("MODEL")(cmd, args)
}

// declareTraining declares the flags of trainingFlags.
func declareTraining(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int("size", 0, "make `N` samples (default 10000), or learn from at most N of the data set (default: all)")
	f.Int("epochs", 0, "learn from each sample `N` times (default 100)")
	f.String("dataset", "", "learn from this CSV, TSV or JSON Lines `FILE`")
	f.String("text-column", "", "column of texts (default: found)")
	f.String("label-column", "", "column of what is to be predicted (default: found)")
	f.Int("batch-size", 0, "learn from `N` samples at a time (default 32)")
	f.Float64("learning-rate", 0, "how far a step goes (default: by the network)")
	f.Int64("seed", 0, "of all that is drawn: the same gives the same model (default 1)")
	f.Float64("validation-split", 0, "`PART` that is measured after each epoch (default 0.1)")
	f.Float64("test-split", 0, "`PART` that is measured once, at the end (default 0.1)")
	f.Int("early-stopping", 0, "stop after `N` epochs without a better validation loss, and keep the best (default: never)")
	f.String("hidden", "", "`WIDTHS` of the hidden layers, such as 64,32, or none (default: none for texts, 32 for tables)")
}

// trainingParams returns the parameters that were given; the rest is the kind's to decide.
func trainingParams(cmd *cobra.Command, args []string, run command) (map[string]any, error) {
	params := map[string]any{}
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		var err error
		if params, err = run.params(args[at:]); err != nil {
			return nil, err
		}
	} else if run.cwd != "" || len(run.env) > 0 {
		return nil, usage("--cwd and --env are for CMD").WithHint("durablectl start training MODEL -- python3 train.py")
	}
	params["model_name"] = args[0]
	for flag, param := range trainingFlags {
		f := cmd.Flags().Lookup(flag)
		if !f.Changed {
			continue
		}
		v, err := trainingValue(cmd.Flags(), f)
		if err != nil {
			return nil, err
		}
		params[param] = v
	}
	return params, nil
}

func trainingValue(flags *pflag.FlagSet, f *pflag.Flag) (any, error) {
	switch {
	case f.Name == "dataset":
		return source("--dataset", f.Value.String())
	case f.Name == "hidden":
		return widths(f.Value.String())
	case f.Value.Type() == "float64":
		return flags.GetFloat64(f.Name)
	}
	return value(flags, f)
}

// widths reads 64,32.
func widths(text string) ([]int, error) {
	list := []int{}
	if text == "none" {
		return list, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, usage("--hidden %s: want whole numbers, such as 64,32, or none", text)
		}
		list = append(list, n)
	}
	return list, nil
}

// trainingHint is err with a hint in the words of this command: the API's label_column is --label-column here.
func (c *cli) trainingHint(err error) error {
	var known *task.Error
	if c.json || !errors.As(err, &known) {
		return err
	}
	told := *known
	for flag, param := range trainingFlags {
		if strings.Contains(param, "_") {
			told.Hint = strings.ReplaceAll(told.Hint, param+"=", "--"+flag+" ")
			told.Hint = strings.ReplaceAll(told.Hint, param, "--"+flag)
		}
	}
	return &told
}
