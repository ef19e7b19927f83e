"""LoopTool: train language models to call tools, in a closed loop."""
