"""Adapt a video-language model to actions, held in place by their descriptions."""
