"""From agent.yaml to a running sandbox: validate, compare, plan, apply."""
