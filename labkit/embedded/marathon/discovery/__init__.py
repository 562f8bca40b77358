"""How clients find what Marathon runs: names (:mod:`mesosdns`) and a load balancer (:mod:`lb`)."""
