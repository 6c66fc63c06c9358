"""Sentiment of product reviews: real data, from the lake's raw zone to a prediction."""
