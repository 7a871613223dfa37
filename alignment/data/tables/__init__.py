"""Tables of anyone's: their files, their forms, and what in a row is question, answer, chat, pair or step label."""
