package menu

import (
	"context"
	"encoding/json"
	"fmt"

	"durable/ipc/task"
)

// What the tutorial's client takes where nobody is asked.
const (
	defaultRecords = 500
	defaultItems   = 300
	defaultBatch   = 30
	defaultDelay   = 0.3
	defaultModel   = "demo-model"
	defaultEpochs  = 25
	defaultDataset = 5000
)

// uri is a task's address for MCP clients: the tutorial's client shows it.
func uri(id task.ID) string { return "task://status/" + string(id) }

func (m *menu) migration(ctx context.Context) error {
	places := map[string]string{}
	for _, what := range []string{"Source", "Destination"} {
		typed, err := m.ask(ctx, what+" (a file or a database): ")
		if err != nil {
			return err
		}
		if typed == "" {
			m.say("Selection cancelled\n")
			return nil
		}
		if places[what], err = m.Place(what, typed); err != nil {
			return err
		}
	}
	records, err := m.askNumber(ctx, fmt.Sprintf("Number of records to migrate (default %d): ", defaultRecords), defaultRecords)
	if err != nil {
		return err
	}
	m.say("Starting data migration: %d records\n   Source: %s\n   Destination: %s\n", records, places["Source"], places["Destination"])
	return m.submit(ctx, "Task", "data_migration", map[string]any{
		"source_path": places["Source"], "destination_path": places["Destination"], "record_count": records,
	})
}

func (m *menu) batch(ctx context.Context) error {
	total, err := m.askNumber(ctx, fmt.Sprintf("Total elements (default %d): ", defaultItems), defaultItems)
	if err != nil {
		return err
	}
	size, err := m.askNumber(ctx, fmt.Sprintf("Batch size (default %d): ", defaultBatch), defaultBatch)
	if err != nil {
		return err
	}
	m.say("Starting batch processing:\n   Total items: %d\n   Batch size: %d\n   Processing delay: %gs\n", total, size, defaultDelay)
	return m.submit(ctx, "Batch processing", "batch_processing", map[string]any{
		"total_items": total, "batch_size": size, "processing_delay": defaultDelay,
	})
}

func (m *menu) training(ctx context.Context) error {
	model, err := m.ask(ctx, fmt.Sprintf("Model name (default '%s'): ", defaultModel))
	if err != nil {
		return err
	}
	if model == "" {
		model = defaultModel
	}
	epochs, err := m.askNumber(ctx, fmt.Sprintf("Number of epochs (default %d): ", defaultEpochs), defaultEpochs)
	if err != nil {
		return err
	}
	m.say("Starting ML training:\n   Model: %s\n   Dataset size: %d samples\n   Epochs: %d\n", model, defaultDataset, epochs)
	return m.submit(ctx, "ML training", "ml_training", map[string]any{
		"model_name": model, "dataset_size": defaultDataset, "epochs": epochs,
	})
}

// submit starts a task; what is what the tutorial calls it.
func (m *menu) submit(ctx context.Context, what, kind string, params map[string]any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	t, err := m.Svc.Submit(ctx, task.Spec{Kind: kind, Params: raw}, "")
	if err != nil {
		return err
	}
	m.say("%s started. Resource URI: %s\nTask URI: %[2]s\n", what, uri(t.ID))
	if t.Phase == task.PhaseAwaitingApproval {
		m.say("%s\n", task.ApprovalNotice(t.Number))
	}
	return nil
}
