"""The commands, one module a group: each reads its words, calls a public function and shows what comes back."""
