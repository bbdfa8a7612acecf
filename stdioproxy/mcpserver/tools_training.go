package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"

	"durable/ipc/task"
)

// kindTraining is the kind behind start_ml_training.
const kindTraining = "ml_training"

// What the kind takes where nothing is said: for the log line only.
const (
	trainingSize   = 10_000
	trainingEpochs = 100
)

var trainingArgs = append([]arg{
	{name: "model_name", typ: argString, required: true},
	{name: "dataset_size", typ: argInteger, min: 1, desc: "Samples made (default 10000), or at most of dataset"},
	{name: "epochs", typ: argInteger, min: 1, desc: "Default 100"},
	{name: "dataset", typ: argString, desc: "CSV or JSON Lines file; without one, samples are made"},
	{name: "text_column", typ: argString, desc: "Default: found"},
	{name: "label_column", typ: argString, desc: "Default: found"},
	{name: "hidden", schema: json.RawMessage(`{"type":"array","items":{"type":"integer"},"description":"Widths of hidden layers"}`)},
	{name: "batch_size", typ: argInteger, min: 1},
	{name: "learning_rate", typ: argNumber},
	{name: "seed", schema: json.RawMessage(`{"type":"integer"}`)},
	{name: "validation_split", typ: argNumber, desc: "Default 0.1"},
	{name: "test_split", typ: argNumber, desc: "Default 0.1"},
	{name: "early_stopping", typ: argInteger, min: 0, desc: "Epochs without improvement; default never"},
	{name: "command", typ: argStrings, desc: "Train by this program instead; its metrics are read from its output"},
	{name: "cwd", typ: argString, desc: "For command"},
	{name: "env", typ: argMap, desc: "For command"},
}, common...)

func (s *Server) trainingTools() []tool {
	return []tool{{
		name: "start_ml_training", title: "Start ML training", destructive: true, args: trainingArgs,
		description: "Durable background job: trains a classifier on texts or tables, or runs a training script. " +
			"Resumes at the last epoch; metrics.csv and the model are artifacts.",
		run: startTraining,
	}}
}

func startTraining(ctx context.Context, c *call) (*reply, error) {
	params := c.params("title", "idempotency_key")
	if path := c.args.string("dataset"); path != "" {
		resolved, err := c.s.resolvePath("dataset", path)
		if err != nil {
			return nil, err
		}
		params["dataset"] = resolved
	}
	if len(c.args.strings("command")) > 0 {
		cwd, err := c.folder()
		if err != nil {
			return nil, err
		}
		params["cwd"] = cwd
	}
	samples := fmt.Sprint(c.args.int("dataset_size", trainingSize))
	if _, said := c.args["dataset_size"]; !said && (params["dataset"] != nil || params["command"] != nil) {
		samples = "all"
	}
	c.say(ctx, "info", "Starting training of model '%s' with %s samples by %d epochs",
		c.args.string("model_name"), samples, c.args.int("epochs", trainingEpochs))
	return c.submit(ctx, kindTraining, params, "Training started. Track progress at: %s")
}

// trained is the log line of a training that has ended well.
func trained(t task.Task) string {
	var result struct {
		Name string `json:"model_name"`
	}
	if err := json.Unmarshal(t.Result, &result); err != nil || result.Name == "" {
		result.Name = t.Title
	}
	return fmt.Sprintf("Model '%s' training completed", result.Name)
}
