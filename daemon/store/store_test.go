package store_test

import (
	"testing"

	"durable/daemon/store"
	"durable/daemon/store/storetest"
)

func openBolt(o store.Options) (storetest.Store, error) {
	s, err := store.Open(o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openFaulty(o store.Options) (storetest.Store, error) {
	s, err := store.Open(o)
	if err != nil {
		return nil, err
	}
	return storetest.NewFaulty(s), nil
}

func TestExercise(t *testing.T) {
	t.Run("bolt", func(t *testing.T) { storetest.Exercise(t, openBolt) })
	t.Run("faulty", func(t *testing.T) { storetest.Exercise(t, openFaulty) })
}
