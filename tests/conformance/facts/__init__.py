"""What flyteadmin answers, as tables: a file a resource. test_facts.py runs them; fact.py tells how a fact is written."""
