"""Models that OpenAI-compatible servers run: vLLM, SGLang, llama.cpp, Ollama and others.

`model` has the `VisionModel`; `fleet` asks several servers, by what `pool` and `retrying` decide; `connection` is HTTP,
`messages` what is said over it, `probing` what a server can do, `pictures` how pictures travel.
"""
