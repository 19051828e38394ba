"""Asks a server with the library of OpenAI, and prints the answer, or the error that ended it."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
try:
    messages = [{"role": "user", "content": sys.argv[2]}]
    for chunk in client.chat.completions.create(model="counter", messages=messages, stream=True):
        print(chunk.choices[0].delta.content, end="")
    print("end")
except openai.APIError as error:
    print(f"error: {error.message}")
