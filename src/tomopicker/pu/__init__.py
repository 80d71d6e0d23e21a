"""The paper's mathematics (section 3.2): class priors, and the PN, PU and KL objectives as pure functions."""
