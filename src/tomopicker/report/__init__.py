"""What a person looks at: the paper's figures and tables, from picks and their evaluation."""
