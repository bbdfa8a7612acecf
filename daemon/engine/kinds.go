package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// kindSet is what this daemon can run. A reload replaces it as a whole; what runs keeps the kind that it began with.
type kindSet struct {
	byName atomic.Pointer[map[string]job.Kind]
}

// set refuses two of one name.
func (s *kindSet) set(kinds []job.Kind) error {
	byName := make(map[string]job.Kind, len(kinds))
	for _, k := range kinds {
		name := k.Describe().Name
		if byName[name] != nil {
			return fmt.Errorf("two kinds named %s", name)
		}
		byName[name] = k
	}
	s.byName.Store(&byName)
	return nil
}

// named returns the kind of that name, nil if there is none.
func (s *kindSet) named(name string) job.Kind { return (*s.byName.Load())[name] }

// find finds a kind by name or by the alias that people type.
func (s *kindSet) find(name string) (job.Kind, error) {
	if k := s.named(name); k != nil {
		return k, nil
	}
	all := *s.byName.Load()
	for _, k := range all {
		if k.Describe().Alias == name && name != "" {
			return k, nil
		}
	}
	return nil, task.Errorf(task.InvalidArgument, "unknown kind %q", name).
		WithHint("this daemon has: %s", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
}

func (s *kindSet) describe() []task.KindInfo {
	all := *s.byName.Load()
	infos := make([]task.KindInfo, 0, len(all))
	for _, k := range all {
		infos = append(infos, k.Describe())
	}
	slices.SortFunc(infos, func(a, b task.KindInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// SetKinds replaces the kinds, and tells watchers. Attempts that run keep theirs; a task of a kind that is gone is
// paused when its turn comes.
func (e *Engine) SetKinds(ctx context.Context, kinds []job.Kind) error {
	if err := e.kinds.set(kinds); err != nil {
		return task.Errorf(task.Internal, "kinds: %w", err)
	}
	e.poke() // an attempt that nobody watches may have its kind again
	return e.TellKinds(ctx)
}

// TellKinds tells watchers that the kinds are not those that they know.
func (e *Engine) TellKinds(ctx context.Context) error {
	return e.update(ctx, store.Essential, func(tx *store.Tx) error {
		return tx.Append(task.Event{Time: now(), Type: task.EventKinds, Message: "the kinds changed"})
	})
}

// Reload implements task.Service: the daemon reads its configuration, the engine takes over what concerns it.
func (e *Engine) Reload(ctx context.Context) (task.ReloadResult, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.ReloadResult{}, err
	}
	if e.cfg.Reload == nil {
		return e.UnimplementedService.Reload(ctx)
	}
	e.reloading.Lock()
	defer e.reloading.Unlock()
	kinds, changed, err := e.cfg.Reload(ctx)
	if err != nil {
		return task.ReloadResult{}, err
	}
	if kinds != nil {
		if err := e.SetKinds(ctx, kinds); err != nil {
			return task.ReloadResult{}, err
		}
	}
	e.tidyLater()
	return task.ReloadResult{Changed: append([]string{}, changed...)}, nil
}
