"""The guided first hour: one file per step, all of one shape (model.ports.Step)."""
